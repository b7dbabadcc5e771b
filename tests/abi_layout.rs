//! The headers against their mirrors `sdk/abi.rs` and `capi/abi.rs`: every struct, field and constant, as a C compiler
//! sees them; and the headers alone under every standard they promise.

mod built;

use mountainpass::capi::abi as callers;
use mountainpass_sdk::abi::{self, cap, dtype, log, memory, option, split, status, symmetry};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::mem::offset_of;
use std::process::Command;

const HEADERS: [&str; 3] = ["mountainpass_base.h", "mountainpass_backend.h", "mountainpass.h"];

/// One struct as Rust lays it out.
struct Layout {
    name: &'static str,
    size: usize,
    /// Name, offset and size.
    fields: Vec<(&'static str, usize, usize)>,
}

fn field_size<T, F>(_: fn(&T) -> &F) -> usize {
    size_of::<F>()
}

macro_rules! layouts {
    ($($c:literal $module:ident $rust:ident { $($field:ident)* })*) => {
        vec![$(Layout {
            name: $c,
            size: size_of::<$module::$rust>(),
            fields: vec![$((
                stringify!($field).trim_start_matches("r#"),
                offset_of!($module::$rust, $field),
                field_size(|record: &$module::$rust| &record.$field),
            )),*],
        }),*]
    };
}

fn layouts() -> Vec<Layout> {
    layouts! {
        "mpass_error" abi Error { code text }
        "mpass_view" abi View { data rows cols row_stride dtype memory device reserved }
        "mpass_array" abi Array { name data shape strides ndim dtype }
        "mpass_open" abi Open { struct_size device max_threads n_options model model_bytes model_len keys values data n_data user repeatable reserved }
        "mpass_host" abi Host { struct_size abi_minor ctx log cancelled parallel extension workers reserved }
        "mpass_device" abi Device { struct_size memory name memory_bytes }
        "mpass_loss_info" abi LossInfo { struct_size caps params samples rows_best rows_max dtypes memories noise }
        "mpass_eval" abi Eval { struct_size reserved theta ids loss grad dir hvp row_status cancel stream }
        "mpass_backend" abi Backend { struct_size abi_minor name version probe open info eval close extension }
        "mpass_parameter" abi Parameter { name shape offset ndim reserved }
        "mpass_ext_parameters" abi ExtParameters { struct_size reserved list }
        "mpass_ext_start" abi ExtStart { struct_size reserved start r#box }
        "mpass_ext_metrics" abi ExtMetrics { struct_size reserved names eval }
        "mpass_symmetry" abi Symmetry { kind reserved n_blocks block index split period }
        "mpass_ext_symmetry" abi ExtSymmetry { struct_size reserved list }
        "mpass_identity" abi Identity { struct_size reserved model_hash data_hash options notes }
        "mpass_ext_identity" abi ExtIdentity { struct_size reserved get }
        "mpass_kink" abi Kink { id z alpha delta }
        "mpass_slope" abi Slope { id t }
        "mpass_ext_kinks" abi ExtKinks { struct_size reserved count eval_smoothed near eval_linear rows }
        "mpass_option" abi Declared { name about default_value words kind reserved }
        "mpass_ext_options" abi ExtOptions { struct_size reserved options n_options }
        "mpass_hooks" callers Hooks { struct_size log_level user log progress }
        "mpass_engine_options" callers EngineOptions { struct_size threads hooks isolate reserved isolate_seconds isolate_memory server }
        "mpass_backend_info" callers BackendInfo { struct_size n_devices name version file devices }
        "mpass_run_options" callers RunOptions { struct_size flags cancel config evaluation_ids theta }
        "mpass_landscape_info" callers LandscapeInfo { struct_size ended params n_minima n_paths n_loss n_gradient n_hessian_product noise aligned reserved }
        "mpass_minimum" callers Minimum { struct_size flags cell same_as seed path loss gradient_norm theta }
        "mpass_path" callers Path { struct_size state id from_cell to_cell pass_cell pass_kind reserved height height_error pass_arc pass_theta n_samples n_knots arc loss slope knots }
        "mpass_bar" callers Bar { birth death death_error birth_cell death_cell elder_cell path degree death_kind flags reserved }
        "mpass_score" callers Score { struct_size degree bars essential doubtful mean total max bottleneck wasserstein_1 wasserstein_2 without_doubtful }
        "mpass_chain" callers Chain { n_cells first samples }
        "mpass_barcode_options" callers BarcodeOptions { struct_size flags degrees reserved simplify }
        "mpass_grid_options" callers GridOptions { struct_size flags periodic reserved }
        "mpass_graph_options" callers GraphOptions { struct_size flags radius }
        "mpass_complex_info" callers ComplexInfo { struct_size degrees n_cells n_of_degree euler_characteristic }
        "mpass_critical" callers Critical { struct_size degree value sample n_samples n_boundary n_descending n_paths samples boundary descending path_ends paths }
    }
}

/// Every constant of the headers, by its C name.
#[rustfmt::skip]
fn constants() -> Vec<(&'static str, i64)> {
    let statuses = [
        ("MPASS_OK", status::OK), ("MPASS_E_ARGUMENT", status::ARGUMENT), ("MPASS_E_UNSUPPORTED", status::UNSUPPORTED),
        ("MPASS_E_VERSION", status::VERSION), ("MPASS_E_NOT_FOUND", status::NOT_FOUND),
        ("MPASS_E_MEMORY", status::MEMORY), ("MPASS_E_DEVICE", status::DEVICE), ("MPASS_E_NUMERIC", status::NUMERIC),
        ("MPASS_E_CANCELLED", status::CANCELLED), ("MPASS_E_BUDGET", status::BUDGET), ("MPASS_E_BUSY", status::BUSY),
        ("MPASS_E_BACKEND", status::BACKEND), ("MPASS_E_POISONED", status::POISONED),
        ("MPASS_E_INTERNAL", status::INTERNAL),
        ("MPASS_LOG_ERROR", log::ERROR), ("MPASS_LOG_WARN", log::WARN), ("MPASS_LOG_INFO", log::INFO),
        ("MPASS_LOG_DEBUG", log::DEBUG),
    ];
    let codes = [
        ("MPASS_F32", dtype::F32), ("MPASS_F64", dtype::F64), ("MPASS_U64", dtype::U64), ("MPASS_I64", dtype::I64),
        ("MPASS_I32", dtype::I32), ("MPASS_U8", dtype::U8), ("MPASS_F16", dtype::F16), ("MPASS_BF16", dtype::BF16),
        ("MPASS_HOST", memory::HOST), ("MPASS_HOST_PINNED", memory::HOST_PINNED), ("MPASS_CUDA", memory::CUDA),
        ("MPASS_CAP_GRAD", cap::GRAD), ("MPASS_CAP_HVP", cap::HVP), ("MPASS_CAP_MINIBATCH", cap::MINIBATCH),
        ("MPASS_CAP_MANY", cap::MANY), ("MPASS_CAP_REPEATABLE", cap::REPEATABLE), ("MPASS_CAP_CANCEL", cap::CANCEL),
        ("MPASS_CAP_CALLER_THREAD", cap::CALLER_THREAD), ("MPASS_CAP_SMOOTH", cap::SMOOTH),
        ("MPASS_CAP_JOINT", cap::JOINT),
        ("MPASS_SYMMETRY_PERMUTATION", symmetry::PERMUTATION), ("MPASS_SYMMETRY_SIGN", symmetry::SIGN),
        ("MPASS_SYMMETRY_SCALE", symmetry::SCALE), ("MPASS_SYMMETRY_PERIOD", symmetry::PERIOD),
        ("MPASS_SYMMETRY_RIGID", symmetry::RIGID), ("MPASS_SYMMETRY_CONJUGATION", symmetry::CONJUGATION),
        ("MPASS_SYMMETRY_MIXING", symmetry::MIXING),
        ("MPASS_OPTION_TEXT", option::TEXT), ("MPASS_OPTION_INTEGER", option::INTEGER),
        ("MPASS_OPTION_NUMBER", option::NUMBER), ("MPASS_OPTION_BOOLEAN", option::BOOLEAN),
        ("MPASS_OPTION_PATH", option::PATH), ("MPASS_OPTION_LIST", option::LIST),
        ("MPASS_TRAIN", split::TRAIN), ("MPASS_TEST", split::TEST), ("MPASS_BACKEND_MINOR", abi::MINOR),
    ];
    use callers::{bar, death, ended, keep, minimum, path, sampled};
    let callers = [
        ("MPASS_VERSION", callers::VERSION),
        ("MPASS_ENDED_COMPLETE", ended::COMPLETE), ("MPASS_ENDED_BUDGET", ended::BUDGET),
        ("MPASS_ENDED_CANCELLED", ended::CANCELLED),
        ("MPASS_MINIMUM_COUNTS", minimum::COUNTS), ("MPASS_MINIMUM_UNCONVERGED", minimum::UNCONVERGED),
        ("MPASS_MINIMUM_ESCAPED", minimum::ESCAPED), ("MPASS_MINIMUM_NOT_FINITE", minimum::NOT_FINITE),
        ("MPASS_MINIMUM_TRANSIT", minimum::TRANSIT),
        ("MPASS_MINIMUM_GIVEN", minimum::GIVEN),
        ("MPASS_PATH_STRAIGHT", path::STRAIGHT), ("MPASS_PATH_RELAXED", path::RELAXED),
        ("MPASS_PATH_CONVERGED", path::CONVERGED), ("MPASS_PATH_SPLIT", path::SPLIT),
        ("MPASS_DEATH_NEVER", death::NEVER), ("MPASS_DEATH_CELL", death::CELL),
        ("MPASS_DEATH_PATH_MAXIMUM", death::PATH_MAXIMUM), ("MPASS_DEATH_VERIFIED_SADDLE", death::VERIFIED_SADDLE),
        ("MPASS_DEATH_CRITICAL_POINT", death::CRITICAL_POINT),
        ("MPASS_DEATH_VERIFIED_KINK_SADDLE", death::VERIFIED_KINK_SADDLE),
        ("MPASS_BAR_BELOW_NOISE", bar::BELOW_NOISE), ("MPASS_BAR_UNCONVERGED", bar::UNCONVERGED),
        ("MPASS_BAR_TRANSIT", bar::TRANSIT),
        ("MPASS_SUPERLEVEL", sampled::SUPERLEVEL), ("MPASS_TOP_CELLS", sampled::TOP_CELLS),
        ("MPASS_KEEP_ZERO_LENGTH", keep::ZERO_LENGTH), ("MPASS_KEEP_CYCLES", keep::CYCLES),
        ("MPASS_GEOMETRY", callers::GEOMETRY),
    ];
    statuses.map(|(name, code)| (name, i64::from(code))).into_iter()
        .chain(codes.map(|(name, code)| (name, i64::from(code))))
        .chain(callers.map(|(name, code)| (name, i64::from(code)))).collect()
}

fn texts() -> [(&'static str, &'static std::ffi::CStr); 7] {
    use abi::ext::*;
    [
        ("MPASS_EXT_PARAMETERS", PARAMETERS),
        ("MPASS_EXT_START", START),
        ("MPASS_EXT_METRICS", METRICS),
        ("MPASS_EXT_SYMMETRY", SYMMETRY),
        ("MPASS_EXT_IDENTITY", IDENTITY),
        ("MPASS_EXT_OPTIONS", OPTIONS),
        ("MPASS_EXT_KINKS", KINKS),
    ]
}

#[test]
fn rust_lays_out_every_struct_and_constant_as_c_does() {
    let (mut program, mut expected) = (String::from("#include <stdio.h>\n"), String::new());
    HEADERS.iter().for_each(|header| writeln!(program, "#include \"{header}\"").unwrap());
    program.push_str("int main(void) {\n");
    for Layout { name, size, fields } in layouts() {
        writeln!(program, "  printf(\"{name} %zu\\n\", sizeof({name}));").unwrap();
        writeln!(expected, "{name} {size}").unwrap();
        for (field, offset, size) in fields {
            let (at, long) = (format!("offsetof({name}, {field})"), format!("sizeof((({name} *)0)->{field})"));
            writeln!(program, "  printf(\"{name}.{field} %zu %zu\\n\", {at}, {long});").unwrap();
            writeln!(expected, "{name}.{field} {offset} {size}").unwrap();
        }
    }
    for (name, value) in constants() {
        writeln!(program, "  printf(\"{name} %lld\\n\", (long long){name});").unwrap();
        writeln!(expected, "{name} {value}").unwrap();
    }
    for (name, value) in texts() {
        writeln!(program, "  printf(\"{name} %s\\n\", {name});").unwrap();
        writeln!(expected, "{name} {}", value.to_str().unwrap()).unwrap();
    }
    program.push_str("  return 0;\n}\n");

    let folder = built::folder("layout");
    let (source, binary) = (folder.join("layout.c"), folder.join("layout"));
    std::fs::write(&source, program).unwrap();
    built::run(built::cc().args(["-std=c99", "-Wall", "-Wextra", "-Werror"]).arg(&source).arg("-o").arg(&binary));
    let printed = String::from_utf8(Command::new(&binary).output().unwrap().stdout).unwrap();
    for (c, rust) in printed.lines().zip(expected.lines()) {
        assert_eq!(c, rust, "left: C, right: Rust");
    }
    assert_eq!(printed.lines().count(), expected.lines().count());
}

#[test]
fn a_bar_has_its_frozen_size() {
    assert_eq!((size_of::<callers::Bar>(), offset_of!(callers::Bar, degree)), (72, 56));
    assert_eq!(callers::NONE, u64::MAX); // MPASS_NONE
}

#[test]
fn the_tables_above_leave_nothing_out() {
    let headers = HEADERS.map(|header| std::fs::read_to_string(built::root().join("include").join(header)).unwrap());
    let words = |text: &str| -> BTreeSet<String> {
        text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).map(str::to_owned).collect()
    };
    let text: String = headers.iter().map(|header| built::code(header)).collect();
    // `typedef struct mpass_loss mpass_loss;` is a handle, which only the library looks into.
    let structs: BTreeSet<&str> = text
        .split("typedef struct ")
        .skip(1)
        .filter_map(|rest| rest.split_once(['{', ';']).filter(|(head, _)| rest[head.len()..].starts_with('{')))
        .map(|(head, _)| head.trim())
        .collect();
    let layouts = layouts();
    assert_eq!(structs, layouts.iter().map(|layout| layout.name).collect());
    // No padding and no field forgotten: each begins where the one before it ends, the last at the struct's end.
    for Layout { name, size, fields } in &layouts {
        let end = fields.iter().fold(0, |end, (field, offset, size)| {
            assert_eq!(*offset, end, "before {name}.{field}");
            offset + size
        });
        assert_eq!(end, *size, "at the end of {name}");
    }
    // The macro of the size rule and its sentinel are no values of the mirror.
    let no_values = ["MPASS_HAS", "MPASS_NONE"].map(str::to_owned);
    let listed = constants().into_iter().map(|(name, _)| name).chain(texts().map(|(name, _)| name));
    let listed: BTreeSet<String> = listed.map(str::to_owned).chain(no_values).collect();
    let missing: Vec<_> = words(&text).into_iter().filter(|w| w.starts_with("MPASS_") && !listed.contains(w)).collect();
    assert!(missing.is_empty(), "constants that nobody compares: {missing:?}");
}

#[test]
fn each_header_alone_compiles_without_padding_as_c_and_as_cpp() {
    let folder = built::folder("headers");
    let compilers = ["cc", "gcc", "clang"].into_iter().filter(|cc| Command::new(cc).arg("--version").output().is_ok());
    for (compiler, header) in compilers.flat_map(|compiler| HEADERS.map(|header| (compiler, header))) {
        let source = folder.join(format!("{header}.only"));
        std::fs::write(&source, format!("#include \"{header}\"\n")).unwrap();
        for (language, standard) in [("c", "c99"), ("c", "c11"), ("c++", "c++11"), ("c++", "c++20")] {
            let mut command = Command::new(compiler);
            command.args([
                "-Wall",
                "-Wextra",
                "-Wpedantic",
                "-Wpadded",
                "-Werror",
                "-c",
                "-o",
                "/dev/null",
                "-x",
                language,
            ]);
            command.arg(format!("-std={standard}")).arg("-I").arg(built::root().join("include"));
            built::run(command.arg(&source));
        }
    }
}
