//! What an exploration tells while it goes on, in words.

use crate::explore::{Doing, Notice};
use crate::search::{Descent, Origin};

/// What a stage is at, as a short line; empty where it is nothing but the next of its units.
pub fn doing(doing: Doing) -> String {
    match doing {
        Doing::Next => String::new(),
        Doing::Descents { gradient_norm } => format!("gradient norm {gradient_norm:.1e}"),
        Doing::Hop { hop, gradient_norm } => format!("hop {hop}: gradient norm {gradient_norm:.1e}"),
        Doing::Training { seed, epoch, epochs, mean_loss } => {
            format!("seed {seed}: epoch {epoch} of {epochs}, mean loss {mean_loss:.6}")
        }
        Doing::Path { id, height, others: 0 } => format!("path {id} of height {height:.6e}"),
        Doing::Path { id, height, others } => format!("path {id} of height {height:.6e}, and {others} more"),
        Doing::Climbs { mode, saddles } => format!("mode {mode}, {saddles} saddles"),
    }
}

/// What has come up, as a line; `None` where it is as it should be.
pub fn notice(notice: Notice<'_>) -> Option<String> {
    match notice {
        Notice::Ignored(kind) => Some(format!("declared symmetry not used to identify points: {kind}")),
        Notice::Ended { origin, descent, gradient_norm } => {
            let end = match descent {
                Descent::Converged => return None,
                Descent::NotFinite => "the loss is not finite there; skipped".to_owned(),
                Descent::Escaped => "descent left the domain; it decides no bar".to_owned(),
                Descent::Unconverged => format!("not converged, gradient norm {gradient_norm:.1e}; kept and flagged"),
            };
            let from = match origin {
                Origin::Start { seed } => format!("start {seed}"),
                Origin::Given { name, .. } => name.clone(),
                Origin::Transit { path } => format!("path {path}"),
            };
            Some(format!("{from}: {end}"))
        }
        Notice::NoEigensolver => {
            Some("all saddles were not looked for: this program was built without the eigensolver".to_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_descents_that_did_not_converge_are_news() {
        let origin = Origin::Given { index: 1, name: "b.npy".into() };
        let said = |descent| notice(Notice::Ended { origin: &origin, descent, gradient_norm: 2.5e-3 });
        assert_eq!(said(Descent::Converged), None);
        assert_eq!(said(Descent::Escaped).unwrap(), "b.npy: descent left the domain; it decides no bar");
        assert_eq!(said(Descent::Unconverged).unwrap(), "b.npy: not converged, gradient norm 2.5e-3; kept and flagged");
    }
}
