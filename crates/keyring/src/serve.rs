//! A request, carried out.

use countersign_store::wire::{self, Operation, Outcome, Reply, Request, Trouble};

use crate::backend::Backend;
use crate::pieces;

/// Carries out the operations in order, up to the first that fails.
pub(crate) fn reply(
    request: &Request,
    open: impl FnOnce() -> Result<Box<dyn Backend>, Trouble>,
) -> Reply {
    let mut outcomes = Vec::new();
    match open() {
        Ok(backend) => {
            for operation in &request.operations {
                let outcome = carry_out(&*backend, operation).unwrap_or_else(Outcome::Failed);
                let failed = matches!(outcome, Outcome::Failed(_));
                outcomes.push(outcome);
                if failed {
                    break;
                }
            }
        }
        Err(trouble) => outcomes.push(Outcome::Failed(trouble)),
    }
    Reply {
        version: wire::VERSION,
        outcomes,
    }
}

fn carry_out(backend: &dyn Backend, operation: &Operation) -> Result<Outcome, Trouble> {
    match operation {
        Operation::Read { group, name } => {
            let value = pieces::read(backend, group, name)?;
            Ok(value.map_or(Outcome::Absent, Outcome::Value))
        }
        Operation::Write {
            group,
            name,
            label,
            value,
        } => {
            pieces::write(backend, group, name, label, value)?;
            Ok(Outcome::Done)
        }
        Operation::Clear { group, keep } => {
            let stays = |name: &str| keep.as_ref().is_some_and(|keep| name.starts_with(keep));
            for name in backend.names(group)?.iter().filter(|name| !stays(name)) {
                backend.remove(group, name)?;
            }
            Ok(Outcome::Done)
        }
    }
}
