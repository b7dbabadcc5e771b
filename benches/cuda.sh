#!/usr/bin/env bash
# What only an NVIDIA device can show of the backend onnx: that it agrees with faer, and how fast it is beside it and torch.
# Says clearly when it was skipped. Where a device is: python3 with pip, some 2 GB of network, and (for the peers) torch.
set -euo pipefail
cd "$(dirname "$0")/.."
if ! command -v nvidia-smi >/dev/null || ! nvidia-smi -L | grep -q '^GPU 0'; then
  echo "SKIPPED: no NVIDIA device here; nothing about CUDA was checked" >&2
  exit 77
fi
nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader
cargo build --release --bin mpass
export ORT_DYLIB_PATH
ORT_DYLIB_PATH=$(target/release/mpass onnxruntime install --gpu)
cargo test --release -p mountainpass-onnx --test agreement -- --ignored --nocapture
cargo bench -p mountainpass-onnx --bench network -- cuda:0
