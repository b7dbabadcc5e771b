//! The packages of PyPI that hold the library: one version, by their hashes.

/// The version of ONNX Runtime: the last whose packages do not report their use to their maker.
pub const VERSION: &str = "1.28.0";
/// The first minor version that does, unless ORT_DISABLE_TELEMETRY=1 stands in the environment.
pub const REPORTING: u32 = 29;

/// For what the library is built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flavour {
    /// Processors: 11 MB to fetch, 29 MB unpacked.
    Cpu,
    /// NVIDIA devices too, with the libraries of CUDA 13: some 2 GB.
    Gpu,
}

/// One package for one machine.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wheel {
    pub package: &'static str,
    pub version: &'static str,
    pub sha256: &'static str,
}

const fn wheel(package: &'static str, version: &'static str, sha256: &'static str) -> Wheel {
    Wheel { package, version, sha256 }
}

/// Any of the Pythons that a version is built for holds the same library.
pub(super) const PYTHON: &str = "3.12";

const X86: [Wheel; 1] =
    [wheel("onnxruntime", VERSION, "0a83bdb70d143cede762b677789bf2a7acca54b3fb82565601d5c30695aa933c")];
const ARM: [Wheel; 1] =
    [wheel("onnxruntime", VERSION, "4e81a23df16e7acb9d51b06d30cc098e49315ef9180f97bc2221d167b4b04d9c")];
/// The provider and what it links; the driver is the system's. cuBLAS is in none of the package's own lists.
const CUDA: [Wheel; 8] = [
    wheel("onnxruntime-gpu", VERSION, "3b3a63cecd239d72432cd44569d047de8f4d69e471cd5f60f7ac7fc8769be5ec"),
    wheel("nvidia-cuda-runtime", "13.5.37", "df2b79a8852f10d1fef8c848489c49eebb5754051bf870202a862831412b179d"),
    wheel("nvidia-cublas", "13.10.0.20", "dcc6d63884c53d07e267ce7e6feac17b2538cebaafec5db865736c3e28e4dc84"),
    wheel("nvidia-cudnn-cu13", "9.28.1.4", "a54f205b1db1f2895d99f398754db1369816f0569dd459731f925635cf7b65ec"),
    wheel("nvidia-cufft", "12.5.0.14", "b8be26837a5abad2b5b74f3e92dd29f622a42934b355be0961a48712cbba23ad"),
    wheel("nvidia-curand", "10.4.5.25", "22bb226a857e5888fe6b54ae465fc4371296bcff13a35f79e19691bcf454f529"),
    wheel("nvidia-cuda-nvrtc", "13.5.37", "86b4d68058807988b7d9af5b44917a0601e9c337f35ccd657bfb3c759ff8d8bc"),
    wheel("nvidia-nvjitlink", "13.5.37", "280d7cb9649704145f074b8dbde500de04ce02d0872e066e20a83c17bcaa93eb"),
];

impl Flavour {
    /// The package that gives its name to the folder.
    pub fn package(self) -> &'static str {
        match self {
            Flavour::Cpu => "onnxruntime",
            Flavour::Gpu => "onnxruntime-gpu",
        }
    }

    /// What is fetched for a machine; nothing is pinned for others.
    pub(super) fn wheels(self, machine: &str) -> Option<&'static [Wheel]> {
        match (self, machine) {
            (Flavour::Cpu, "x86_64") => Some(&X86),
            (Flavour::Cpu, "aarch64") => Some(&ARM),
            (Flavour::Gpu, "x86_64") => Some(&CUDA),
            _ => None,
        }
    }
}
