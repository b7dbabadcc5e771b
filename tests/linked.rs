//! Backends written with the sdk and linked into the program, through the same table and adapter as a loaded file.

use mountainpass::error::Error;
use mountainpass::loss::{Batch, Dtype, Elements, Loss, NamedArray, OpenRequest, Registry, Split};
use mountainpass::machine::pool::Pool;
use mountainpass::run::Cancel;
use mountainpass_sdk as sdk;
use std::ffi::CStr;
use std::sync::{Arc, Mutex};

/// The mean of (x - y_i)^2 over samples y, given in memory; theta is x, twice: two blocks that are added.
struct Mean {
    y: Vec<f64>,
    moody: bool,
}

struct MeanBackend;

impl sdk::Backend for MeanBackend {
    const NAME: &'static CStr = c"mean";
    const VERSION: &'static CStr = c"2.1";
    type Loss = Mean;

    fn open(host: sdk::Host<'_>, mut request: sdk::Open<'_>) -> Result<Mean, sdk::Error> {
        let moody = request.parsed("moody")?.unwrap_or(false);
        request.finish()?;
        let array = request.data.iter().find(|array| array.name() == "y");
        let array = array.ok_or_else(|| sdk::Error::not_found("there is no array \"y\""))?;
        assert_eq!(array.dtype(), sdk::abi::dtype::F64);
        let y = array.to_f64()?;
        host.log(sdk::abi::log::INFO, &format!("{} samples", y.len()));
        Ok(Mean { y, moody })
    }
}

impl sdk::Loss for Mean {
    fn info(&self) -> sdk::Info {
        sdk::Info {
            caps: sdk::Caps { grad: true, minibatch: true, cancel: true, ..sdk::Caps::default() },
            params: 2,
            samples: self.y.len() as u64,
            rows_max: 3,
            dtypes: sdk::Dtypes { f32: true, f64: true },
            ..sdk::Info::default()
        }
    }

    fn eval(&self, mut eval: sdk::Eval<'_>) -> Result<(), sdk::Error> {
        if eval.cancel.fired() {
            return Err(sdk::Error::cancelled());
        }
        assert!(!self.moody, "not today");
        assert!(eval.n() <= 3, "rows_max is 3");
        let all: Vec<u64> = (0..self.y.len() as u64).collect();
        let ids = eval.ids.unwrap_or(&all);
        let mut sums: Vec<(f64, f64)> = (0..eval.n()).map(|i| (eval.theta.row_f64(i).iter().sum(), 0.0)).collect();
        let y = &self.y;
        eval.host.for_each(&mut sums, |(x, slope), _, _| {
            let (at, m) = (*x, ids.len() as f64);
            *x = ids.iter().map(|&id| (at - y[id as usize]).powi(2)).sum::<f64>() / m;
            *slope = ids.iter().map(|&id| 2.0 * (at - y[id as usize])).sum::<f64>() / m;
        });
        for (i, (loss, slope)) in sums.into_iter().enumerate() {
            eval.loss[i] = loss;
            if let Some(grad) = &mut eval.grad {
                grad.set_row_f64(i, &[slope, slope]);
            }
        }
        Ok(())
    }

    fn parameters(&self) -> Vec<sdk::Parameter> {
        let block = |name: &str, offset| sdk::Parameter { name: name.into(), shape: vec![1], offset };
        vec![block("second", 1), block("first", 0)]
    }

    fn metrics(&self, split: sdk::Split) -> Vec<String> {
        if split == sdk::Split::Train { vec!["sum".into(), "double".into()] } else { Vec::new() }
    }

    fn eval_metrics(
        &self,
        _: sdk::Host<'_>,
        _: sdk::Split,
        theta: sdk::Matrix<'_>,
        out: &mut [f64],
    ) -> Result<(), sdk::Error> {
        for (i, pair) in out.chunks_mut(2).enumerate() {
            let sum: f64 = theta.row_f64(i).iter().sum();
            pair.copy_from_slice(&[sum, 2.0 * sum]);
        }
        Ok(())
    }

    fn symmetries(&self) -> Vec<sdk::Symmetry> {
        vec![sdk::Symmetry { kind: sdk::SymmetryKind::Permutation, blocks: vec![vec![0], vec![1]] }]
    }
}

const Y: [f64; 4] = [1.0, 2.0, 3.0, 6.0];

fn open(options: &[(&str, &str)], dtype: Option<Dtype>) -> Result<Box<dyn Loss>, Error> {
    let registry = Registry::new();
    registry.register::<MeanBackend>()?;
    let options = options.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect();
    let data = vec![NamedArray { name: "y", shape: &[2, 2], values: Elements::F64(&Y) }];
    registry.open("mean", &OpenRequest { options, data, dtype, ..OpenRequest::default() }, Arc::new(Pool::new(2)))
}

/// Losses and gradients.
fn eval(
    loss: &mut dyn Loss,
    theta: &[f64],
    ids: Option<&[u64]>,
    cancel: &Cancel,
) -> Result<(Vec<f64>, Vec<f64>), Error> {
    let n = theta.len() / loss.info().params;
    let (mut losses, mut grad, mut ok) = (vec![0.0; n], vec![0.0; theta.len()], vec![false; n]);
    loss.eval(Batch { theta, ids, loss: &mut losses, grad: Some(&mut grad), hvp: None, ok: &mut ok, cancel })?;
    assert!(ok.iter().all(|&ok| ok));
    Ok((losses, grad))
}

#[test]
fn data_in_memory_sample_ids_and_long_batches_reach_a_backend() {
    let mut loss = open(&[], None).unwrap();
    let cancel = Cancel::default();
    let theta = [3.0, 0.0, 1.0, 1.0, 0.5, 0.5, 2.0, 4.0, 0.0, 0.0];
    let (losses, grad) = eval(&mut *loss, &theta, None, &cancel).unwrap();
    assert_eq!(losses, [3.5, 4.5, 7.5, 12.5, 12.5]);
    assert_eq!(grad[..4], [0.0, 0.0, -2.0, -2.0]);
    let (losses, _) = eval(&mut *loss, &[3.0, 0.0], Some(&[3, 3, 0]), &cancel).unwrap();
    assert_eq!(losses, [22.0 / 3.0]);
    assert!(eval(&mut *loss, &[], None, &cancel).unwrap().0.is_empty());

    let refused = |loss: &mut dyn Loss, ids: &[u64]| {
        let error = eval(loss, &[3.0, 0.0], Some(ids), &Cancel::default()).unwrap_err();
        error.to_string()
    };
    assert_eq!(refused(&mut *loss, &[0, 4]), "sample 4 of a data set of 4");
    assert_eq!(refused(&mut *loss, &[]), "a loss over no samples has no value: ids is empty");
    let error = eval(&mut *loss, &[1.0, 2.0, 3.0], None, &cancel).unwrap_err().to_string();
    assert_eq!(error, "theta has 3 values where 1 rows of 2 are needed");
}

#[test]
fn extensions_arrive_checked_and_in_order() {
    let mut loss = open(&[], None).unwrap();
    let names: Vec<String> = loss.parameters().unwrap().into_iter().map(|block| block.name).collect();
    assert_eq!(names, ["first", "second"]);
    assert_eq!(loss.metric_names(Split::Train).unwrap(), ["sum", "double"]);
    assert!(loss.metric_names(Split::Test).unwrap().is_empty());
    // Four rows in calls of at most three.
    let theta = [1.0, 2.0, 0.0, 0.0, 1.0, 1.0, 5.0, 5.0];
    assert_eq!(loss.metrics(Split::Train, &theta).unwrap(), [3.0, 6.0, 0.0, 0.0, 2.0, 4.0, 10.0, 20.0]);
    assert!(loss.metrics(Split::Test, &theta).unwrap().is_empty());
    assert_eq!(loss.symmetries().unwrap()[0].blocks, [[0], [1]]);
    assert_eq!((loss.start(1).unwrap(), loss.bounds().unwrap()), (None, None));
}

#[test]
fn single_precision_rounds_on_the_way_in_and_widens_on_the_way_out() {
    let mut loss = open(&[], Some(Dtype::F32)).unwrap();
    assert_eq!(loss.info().dtype, Dtype::F32);
    let (losses, grad) = eval(&mut *loss, &[0.1, 0.2], None, &Cancel::default()).unwrap();
    let x = f64::from(0.1_f32) + f64::from(0.2_f32);
    let mean = Y.iter().map(|y| (x - y).powi(2)).sum::<f64>() / 4.0;
    let slope = f64::from((Y.iter().map(|y| 2.0 * (x - y)).sum::<f64>() / 4.0) as f32);
    assert_eq!((losses, grad), (vec![mean], vec![slope, slope]));
}

#[test]
fn a_panic_in_a_backend_is_an_error_with_its_text_and_then_the_loss_is_poisoned() {
    let mut loss = open(&[("moody", "true")], None).unwrap();
    let line = |loss: &mut dyn Loss| eval(loss, &[3.0, 0.0], None, &Cancel::default()).unwrap_err().to_string();
    assert_eq!(line(&mut *loss), "mean 2.1: eval: panic: not today");
    assert_eq!(line(&mut *loss), "mean 2.1: eval: this loss panicked before; close it");
}

#[test]
fn a_fired_token_cancels_an_evaluation() {
    let (mut loss, cancel) = (open(&[], None).unwrap(), Cancel::default());
    cancel.fire();
    assert!(matches!(eval(&mut *loss, &[3.0, 0.0], None, &cancel), Err(Error::Cancelled)));
    eval(&mut *loss, &[3.0, 0.0], None, &Cancel::default()).unwrap();
}

#[test]
fn the_log_says_which_backend_speaks_and_a_name_is_taken_once() {
    let lines = Arc::new(Mutex::new(Vec::new()));
    let heard = lines.clone();
    let registry =
        Registry::with_log(Arc::new(move |level, line: &str| heard.lock().unwrap().push((level, line.to_owned()))));
    registry.register::<MeanBackend>().unwrap();
    let twice = registry.register::<MeanBackend>().unwrap_err();
    assert_eq!(twice.to_string(), "there is a backend \"mean\" already");
    let data = vec![NamedArray { name: "y", shape: &[4], values: Elements::F64(&Y) }];
    registry.open("mean", &OpenRequest { data, ..OpenRequest::default() }, Arc::new(Pool::new(1))).unwrap();
    assert_eq!(*lines.lock().unwrap(), [(sdk::abi::log::INFO, "mean 2.1: 4 samples".to_owned())]);
    let error = registry.open("mean", &OpenRequest::default(), Arc::new(Pool::new(1))).err().unwrap();
    assert_eq!(error.to_string(), "mean 2.1: open: there is no array \"y\"");
}

#[cfg(feature = "surfaces")]
#[test]
fn every_surface_is_the_same_through_the_table() {
    use mountainpass_surfaces::{MODELS, Surfaces, surface};
    let registry = Registry::new();
    registry.register::<Surfaces>().unwrap();
    for model in MODELS {
        let request = OpenRequest { model: model.into(), ..OpenRequest::default() };
        let mut loss = registry.open("surfaces", &request, Arc::new(Pool::new(1))).unwrap();
        let direct = surface(&mut sdk::Open::new(model, &[])).unwrap();
        let theta = loss.start(26).unwrap().unwrap();
        let p = theta.len();
        let dir: Vec<f64> = (0..p).map(|i| 0.3 - (i % 2) as f64).collect();
        let (mut value, mut grad, mut hvp, mut ok) = ([0.0], vec![0.0; p], vec![0.0; p], [false]);
        let cancel = Cancel::default();
        let batch = Batch {
            theta: &theta,
            ids: None,
            loss: &mut value,
            grad: Some(&mut grad),
            hvp: Some((&dir, &mut hvp)),
            ok: &mut ok,
            cancel: &cancel,
        };
        loss.eval(batch).unwrap();
        let mut expected = [vec![0.0; p], vec![0.0; p]];
        direct.gradient(&theta, &mut expected[0]);
        direct.product(&theta, &dir, &mut expected[1]);
        assert_eq!((ok, value, [grad, hvp]), ([true], [direct.value(&theta)], expected), "{model}");
        assert_eq!(loss.bounds().unwrap(), direct.bounds());
        assert_eq!(loss.symmetries().unwrap(), direct.symmetries());
        assert!(loss.identity().unwrap().options.starts_with(&format!("model = {model}\n")));
    }
}
