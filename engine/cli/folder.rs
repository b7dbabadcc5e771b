//! The folder of a run: one run at a time, one configuration for ever, unless `--force` gives up what is there.

use mountainpass::config::Config;
use mountainpass::machine::durable;
use mountainpass::run::Ended;
use mountainpass::store::{BESIDE, DATABASE, Provenance, Store};
use mountainpass::{Error, Result, report};
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

/// A folder that results go to, whether or not it is there yet.
pub struct Folder {
    pub path: PathBuf,
    /// Keeps other runs out as long as it lives; `None` where there is no folder yet, or none can be locked.
    claim: Option<File>,
}

/// What a run may do with an earlier one.
#[derive(Clone, Copy, PartialEq)]
pub enum Intent {
    /// Nothing: it has to be complete, or none.
    Begin,
    Resume,
    /// Gives it up.
    Replace,
}

impl Folder {
    /// Claims a folder, if it is there.
    pub fn enter(path: PathBuf) -> Result<Folder> {
        let mut folder = Folder { path, claim: None };
        if folder.path.is_dir() {
            folder.claim()?;
        }
        Ok(folder)
    }

    /// Makes the folder where there is none, and claims it.
    pub fn make(&mut self) -> Result<()> {
        durable::make_folder(&self.path).map_err(Error::into_usage)?;
        if self.claim.is_none() { self.claim() } else { Ok(()) }
    }

    fn claim(&mut self) -> Result<()> {
        let Ok(handle) = File::open(&self.path) else { return Ok(()) };
        match handle.try_lock() {
            Err(TryLockError::WouldBlock) => {
                let path = self.path.display();
                return Err(Error::Argument(format!("another run is writing to {path}: wait for it")));
            }
            Err(_) => return Ok(()),
            Ok(()) => self.claim = Some(handle),
        }
        durable::sweep(&self.path)
    }

    fn database(&self) -> PathBuf {
        self.path.join(DATABASE)
    }

    /// The database of an earlier run, if there is one that may be used.
    pub fn known(&self, config: &Config, intent: Intent) -> Result<Option<Store>> {
        let (path, database) = (self.path.display(), self.database());
        // An empty file is what a run killed at once leaves.
        let begun = std::fs::metadata(&database).is_ok_and(|file| !file.is_file() || file.len() > 0);
        if intent == Intent::Replace {
            return if begun { self.may_go().map(|()| None) } else { Ok(None) };
        }
        if !begun {
            return match self.strange() {
                None => Ok(None),
                Some(name) => Err(Error::Argument(format!(
                    "{path} holds a {name} but no {DATABASE}: choose another --out, or --force to replace it"
                ))),
            };
        }
        let store = Store::resume(database).map_err(Error::into_usage)?;
        if store.provenance()?.config_hash != config.hash {
            return Err(Error::Argument(format!(
                "{path} holds the results of another configuration: choose another --out, or --force to replace them"
            )));
        }
        if store.record()?.ended != Some(Ended::Complete) && intent == Intent::Begin {
            return Err(Error::Argument(format!(
                "{path} holds an unfinished run: go on with --resume, or begin again with --force"
            )));
        }
        Ok(Some(store))
    }

    /// Refuses a folder that holds results.
    pub fn is_free(&self) -> Result<()> {
        let holds = if self.database().exists() { Some(DATABASE.to_owned()) } else { self.strange() };
        match holds {
            None => Ok(()),
            Some(name) => Err(Error::Argument(format!("{} holds a {name}: choose another --out", self.path.display()))),
        }
    }

    /// A file that a run would replace without knowing whose it is.
    fn strange(&self) -> Option<String> {
        let ours = report::FILES.iter().map(|name| (*name).to_owned());
        let log = std::iter::once(format!("{DATABASE}{}", BESIDE[0]));
        ours.chain(log).find(|name| std::fs::symlink_metadata(self.path.join(name)).is_ok_and(|file| file.len() > 0))
    }

    /// Refuses to give up what is no landscape, whatever its name.
    fn may_go(&self) -> Result<()> {
        let database = self.database();
        match Store::is_foreign(&database) {
            Ok(false) => Ok(()),
            Ok(true) => Err(Error::Argument(format!(
                "{}: not a landscape database: it is not replaced; choose another --out, or move it away",
                database.display()
            ))),
            Err(e) => Err(Error::io(database, e).into_usage()),
        }
    }

    /// A database for a new run. What an earlier one left is given up once the new one is there, and nothing else is.
    pub fn begin(&self, provenance: &Provenance, intent: Intent) -> Result<Store> {
        if intent != Intent::Replace {
            return Store::create(self.database(), provenance).map_err(Error::into_usage);
        }
        let store = Store::replace(self.database(), provenance).map_err(Error::into_usage)?;
        for file in report::FILES.map(|name| self.path.join(name)) {
            match std::fs::remove_file(&file) {
                Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(Error::io(file, e)),
                _ => {}
            }
        }
        Ok(store)
    }
}

/// Goes on with an earlier run, if the loss is still the same.
pub fn same_loss(store: Store, now: &Provenance) -> Result<Store> {
    let then = store.provenance()?;
    match then.differs(now) {
        None => Ok(store),
        Some((what, then, now)) => Err(Error::Argument(format!(
            "{}: the {what} has changed since (was {then}, is {now}): begin again with --force",
            store.path().display()
        ))),
    }
}

/// Where a configuration's results go: where it is said, or beside it under its name.
pub fn of(config: &Path, out: Option<&Path>) -> Result<PathBuf> {
    let folder = out.map_or_else(|| config.with_extension(""), Path::to_owned);
    if folder == config {
        return Err(Error::Argument(format!(
            "{}: this is the configuration itself: name a folder for the results with --out",
            folder.display()
        )));
    }
    Ok(folder)
}
