//! The ONNX Runtime backend as a loadable file: its only exported symbol is the entry of the plugin contract.

mountainpass_sdk::export_backend!(mountainpass_onnx::Onnx);
