//! Opening: from the request's model, options and data to a loss.

use crate::chosen::Chosen;
use crate::loss::MeanLoss;
use crate::network::short;
use mountainpass_network::model::Model;
use mountainpass_network::{Dataset, Objective};
use mountainpass_sdk::abi::{log, status};
use mountainpass_sdk::{Error, Host, Loss, Open, memory};

/// Bytes a parameter: itself, its gradient, and the lists of its symmetries, of which each names it once.
const PARAMETER: u64 = 48;

/// Opens the loss of a request.
pub(crate) fn open(host: Host<'_>, mut request: Open<'_>) -> Result<Box<dyn Loss>, Error> {
    let Chosen { who, model, kind, options, notes } = Chosen::by(&mut request)?;
    let objective = Objective::from_options(&mut request, kind)?;
    let data = Dataset::from_options(&mut request);
    request.finish()?;
    if request.device != 0 {
        return Err(Error::argument(format!("device {}: there is only 0, the CPU", request.device)));
    }
    notes.iter().for_each(|note| host.log(log::INFO, &format!("{who}: {note}")));
    let data = data?;
    afford(&who, &*model)?;
    let loss = MeanLoss::new(&who, model, objective, data, options).map_err(|error| match error.code {
        status::MEMORY if !error.text.starts_with(&who) => Error { text: format!("{who}: it {}", error.text), ..error },
        _ => error,
    });
    Ok(Box::new(loss?))
}

/// Refuses more parameters than there is memory for.
fn afford(who: &str, model: &dyn Model) -> Result<(), Error> {
    let params = model.parameters().iter().map(|block| block.shape.iter().product::<u64>()).sum::<u64>();
    memory::afford(params.checked_mul(PARAMETER))
        .map_err(|shortage| short(who, &format!("what is known of {params} parameters"), shortage))
}
