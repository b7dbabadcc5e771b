//! What the option `data` names: the embedded digits, a folder of files whose names tell the format, or a file; and
//! the options that choose among samples: `classes`, `limit`, `normalise`, `channels`, `labels`, `context`.

use super::choices::Choices;
use super::dataset::{Dataset, Samples, Targets};
use super::input::{Channels, Normalise};
use super::{arrays, cifar, digits, file, idx, npz, svhn, tokens};
use mountainpass_sdk::abi::status;
use mountainpass_sdk::{Declared, Error, Kind, Open, memory};
use std::path::Path;

/// The data sets with a name; everything else is a folder or a file.
const NAMES: [&str; 1] = ["digits"];

/// A kind of folder: the stems of the files that tell it.
struct FolderKind {
    what: &'static str,
    stems: &'static [&'static str],
    read: fn(&Path, &mut Choices<'_>) -> Result<Dataset, Error>,
}

const FOLDERS: [FolderKind; 4] = [
    FolderKind {
        what: "MNIST's IDX files",
        stems: &["train-images-idx3-ubyte", "train-labels-idx1-ubyte"],
        read: |folder, _| idx::read(folder),
    },
    FolderKind {
        what: "CIFAR-10's binary files",
        stems: &["data_batch_1.bin", "test_batch.bin", "cifar10_train.bin"],
        read: |folder, _| cifar::read_10(folder),
    },
    FolderKind { what: "CIFAR-100's binary files", stems: &["train.bin", "test.bin"], read: cifar::read_100 },
    FolderKind {
        what: "SVHN's cropped digits",
        stems: &["train_32x32.mat", "test_32x32.mat"],
        read: |folder, _| svhn::read(folder),
    },
];

impl Dataset {
    /// The options that [`from_options`](Dataset::from_options) reads.
    pub const OPTIONS: [Declared; 8] = [
        Declared::new(
            c"data",
            Kind::Path,
            c"A folder of a known data set, a .npz or .npy file, or the embedded digits.",
        )
        .words(c"digits"),
        Declared::new(c"limit", Kind::Integer, c"The number of train samples that are used, from the first."),
        Declared::new(c"classes", Kind::List, c"The classes that are kept, renumbered by their place in the list."),
        Declared::new(
            c"normalise",
            Kind::Text,
            c"(v / divisor - mean) / std of every value: \"none\", or \"mean 0.5 std 0.25\" and \"divisor 255\".",
        ),
        Declared::new(c"channels", Kind::Text, c"Where the channels of arrays are.").words(c"first last"),
        Declared::new(c"labels", Kind::Text, c"Which labels of CIFAR-100: the fine ones unless given.")
            .words(c"fine coarse"),
        Declared::new(c"context", Kind::Integer, c"The length of the windows that token ids are cut into."),
        Declared::new(
            c"sample_weights",
            Kind::Text,
            c"The array of the data with a factor for the loss of each sample.",
        ),
    ];

    /// Reads the options `data` (a name, a folder or a file; absent when arrays are handed over in memory) and what
    /// chooses among samples, in this order: `classes` keeps the listed classes and renumbers them by their place in
    /// the list, in both parts; `limit` uses only the first N train samples.
    pub fn from_options(open: &mut Open<'_>) -> Result<Dataset, Error> {
        Dataset::chosen(open).map_err(|error| match (error.code, open.option("data")) {
            // Whoever asks for memory does not know the file.
            (status::MEMORY, Some(name)) if !error.text.starts_with(name) => {
                Error { text: format!("{name}: holding it {}", error.text), ..error }
            }
            _ => error,
        })
    }

    fn chosen(open: &mut Open<'_>) -> Result<Dataset, Error> {
        let data = open.option("data");
        let limit = open.parsed::<usize>("limit")?;
        let (classes, normalise) = (open.option("classes"), open.option("normalise"));
        let keys = ["labels", "channels", "sample_weights"];
        let given = keys.map(|key| (key, open.option(key)));
        let context = open.parsed::<usize>("context")?;
        let channels = given[1].1.map(Channels::parse).transpose()?;
        let mut choices = Choices { labels: given[0].1, context, channels, sample_weights: given[2].1 };
        let mut set = match (data, open.data.is_empty()) {
            (Some(name), true) => Dataset::read(name, &mut choices)?,
            (None, false) => arrays::of_memory(&open.data, &mut choices)?,
            (None, true) => {
                let what = "\"digits\", a folder of a known data set, or a .npz or .npy file";
                return Err(Error::argument(format!("option data is missing: {what}")));
            }
            (Some(name), false) => {
                return Err(Error::argument(format!("option data is {name:?}, but arrays were given too: give one")));
            }
        };
        choices.finish(&set.name)?;
        let context = context.map(|n| n.to_string());
        for (key, value) in given.into_iter().chain([("context", context.as_deref())]) {
            set.chose(key, value);
        }
        if let Some(text) = classes {
            set.keep_classes(text)?;
            set.chose("classes", classes);
        }
        if let Some(text) = normalise {
            if let [_, _, ..] = set.inputs[..] {
                let (name, n) = (&set.name, set.inputs.len());
                return Err(Error::argument(format!("option normalise: {name} has {n} inputs, normalise them there")));
            }
            set.inputs[0].normalise = Normalise::parse(text, &set.inputs[0])?;
            set.chose("normalise", normalise);
        }
        if let Some(limit) = limit {
            if limit == 0 {
                return Err(Error::argument("option limit: 0 samples, expected at least 1"));
            }
            if limit < set.train.n {
                set.train = set.train.select(0..limit)?;
            }
        }
        Ok(set)
    }

    /// A data set without further options.
    pub fn open(name: &str) -> Result<Dataset, Error> {
        Dataset::read(name, &mut Choices::default())
    }

    fn read(name: &str, choices: &mut Choices<'_>) -> Result<Dataset, Error> {
        if name == "digits" {
            return digits::read();
        }
        let path = Path::new(name);
        if path.is_dir() {
            return folder(path, choices);
        }
        if path.is_file() {
            return single(path, choices);
        }
        if name.contains(['/', '\\', '.']) {
            return Err(Error::not_found(format!("data {name:?}: no such folder or file")));
        }
        let mut error = Error::unknown("data set", name, &NAMES);
        error.text.push_str(", and no such folder exists");
        Err(error)
    }

    fn chose(&mut self, key: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.choices.push_str(&format!("{key} = {value}\n"));
        }
    }

    /// Keeps the samples of the classes that the option lists.
    fn keep_classes(&mut self, text: &str) -> Result<(), Error> {
        self.classify(None)?;
        let wrong = |what: String| Err(Error::argument(format!("option classes = {text:?}: {what}")));
        let mut classes: Vec<u32> = Vec::new();
        for part in text.split(',') {
            match part.trim().parse() {
                Ok(class) if classes.contains(&class) => return wrong(format!("lists {class} twice")),
                Ok(class) if !self.train.labels().contains(&class) => {
                    return wrong(format!("{} has no train sample of class {class}", self.name));
                }
                Ok(class) => classes.push(class),
                Err(_) => return wrong(format!("{part:?} is no class number; expected a list such as \"0,1,7\"")),
            }
        }
        for samples in [&mut self.train, &mut self.test] {
            let keep = |samples: &Samples| {
                let place = |label: &u32| classes.iter().position(|class| class == label);
                let places = samples.labels().iter().map(place).enumerate();
                let kept = places.filter_map(|(i, place)| Some((i, place?)));
                memory::collected::<(usize, usize)>(samples.n, kept)
            };
            let kept = keep(samples)?;
            *samples = samples.select(kept.iter().map(|(i, _)| *i))?;
            let values = kept.iter().map(|(_, class)| *class as u32).collect();
            samples.targets = Some(Targets::Classes { values, per_sample: 1 });
        }
        Ok(())
    }
}

fn folder_kinds(folder: &Path) -> Vec<&'static FolderKind> {
    FOLDERS.iter().filter(|f| f.stems.iter().any(|stem| file::find(folder, stem).is_some())).collect()
}

fn folder(path: &Path, choices: &mut Choices<'_>) -> Result<Dataset, Error> {
    let name = path.display();
    match folder_kinds(path)[..] {
        [format] => return (format.read)(path, choices),
        [first, second, ..] => {
            let (a, b) = (first.what, second.what);
            return Err(Error::argument(format!("{name} holds {a} and {b}: give each a folder of its own")));
        }
        [] => {}
    }
    let entries = std::fs::read_dir(path).map_err(|error| Error::not_found(format!("{name}: {error}")))?;
    let mut entries: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    entries.sort();
    if let Some(inner) = entries.iter().find(|inner| inner.is_dir() && !folder_kinds(inner).is_empty()) {
        let what = folder_kinds(inner)[0].what;
        return Err(Error::not_found(format!("{name} holds no samples itself; {what} are in {}", inner.display())));
    }
    if let Some(archive) = entries.iter().find(|file| is_archive(file)) {
        return Err(packed(archive));
    }
    if path.join("data_batch_1").is_file() || path.join("train").is_file() {
        return Err(Error::unsupported(format!("{name}: CIFAR's Python version (pickle): get the binary version")));
    }
    let known = FOLDERS.map(|format| format!("{} ({})", format.what, format.stems[0])).join(", ");
    Err(Error::not_found(format!("{name}: no samples of a known format: {known}")))
}

/// The end of a file's name, in small letters.
fn ends(path: &Path, endings: &[&str]) -> bool {
    let name = path.file_name().map(|name| name.to_string_lossy().to_lowercase()).unwrap_or_default();
    endings.iter().any(|ending| name.ends_with(ending))
}

fn is_archive(path: &Path) -> bool {
    ends(path, &[".tar", ".tar.gz", ".tgz", ".zip"])
}

fn packed(archive: &Path) -> Error {
    Error::unsupported(format!("{}: an archive; unpack it and give the folder with its files", archive.display()))
}

fn single(path: &Path, choices: &mut Choices<'_>) -> Result<Dataset, Error> {
    let name = path.display();
    match path {
        _ if ends(path, &[".npz"]) => {
            let arrays = npz::read(path).map_err(|fault| Error::argument(format!("{name}: {fault}")))?;
            arrays::of_file(name.to_string(), arrays, choices)
        }
        _ if ends(path, &[".npy"]) => tokens::read(path, choices),
        _ if is_archive(path) => Err(packed(path)),
        _ if path.parent().is_some_and(|folder| !folder_kinds(folder).is_empty()) => {
            Err(Error::argument(format!("{name}: one file of a data set; give its folder")))
        }
        _ => Err(Error::unsupported(format!(
            "{name}: no file of samples; expected .npz (x and y), .npy (token ids) or a folder"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::super::file::tests::TempFolder;
    use super::*;

    fn with(options: &[(&str, &str)]) -> Result<Dataset, Error> {
        let mut open = Open::new("", options);
        let set = Dataset::from_options(&mut open)?;
        open.finish().map(|()| set)
    }

    #[test]
    fn an_unknown_data_set_names_the_nearest() {
        let text = Dataset::open("digit").unwrap_err().text;
        assert_eq!(text, "unknown data set \"digit\"; the nearest is \"digits\", and no such folder exists");
        assert!(Dataset::open("./none").unwrap_err().text.contains("no such folder"));
    }

    #[test]
    fn a_limit_keeps_the_first_samples() {
        let all = Dataset::open("digits").unwrap();
        let some = with(&[("data", "digits"), ("limit", "5")]).unwrap();
        assert_eq!(some.train.labels(), &all.train.labels()[..5]);
        assert_eq!(some.test, all.test);
        assert_ne!(some.hash(), all.hash());
        assert!(with(&[("data", "digits"), ("limit", "0")]).is_err());
        assert!(with(&[]).unwrap_err().text.contains("data is missing"));
    }

    #[test]
    fn classes_are_kept_and_renumbered_in_the_order_of_the_list() {
        let all = Dataset::open("digits").unwrap();
        let some = with(&[("data", "digits"), ("classes", "7, 0"), ("limit", "9")]).unwrap();
        let kept: Vec<usize> = (0..all.train.n).filter(|i| [7, 0].contains(&all.train.labels()[*i])).take(9).collect();
        assert_eq!(some.train.inputs, all.train.select(kept.iter().copied()).unwrap().inputs);
        let renumbered: Vec<u32> = kept.iter().map(|i| u32::from(all.train.labels()[*i] == 0)).collect();
        assert_eq!(some.train.labels(), renumbered);
        assert_eq!(some.test.n, all.test.labels().iter().filter(|y| [7, 0].contains(*y)).count());
        assert_eq!(some.choices, "classes = 7, 0\n");
        for (classes, fault) in [("0,10", "no train sample of class 10"), ("1,1", "twice"), ("0-3", "no class number")]
        {
            let text = with(&[("data", "digits"), ("classes", classes)]).unwrap_err().text;
            assert!(text.starts_with("option classes") && text.contains(fault), "{text}");
        }
    }

    #[test]
    fn options_of_another_format_are_refused() {
        for (key, value) in [("labels", "fine"), ("context", "8"), ("channels", "last")] {
            let text = with(&[("data", "digits"), (key, value)]).unwrap_err().text;
            assert!(text.starts_with(&format!("option {key} ")) && text.ends_with("data is digits"), "{text}");
        }
        let set = with(&[("data", "digits"), ("normalise", "mean 0.5")]).unwrap();
        assert_eq!(set.inputs[0].normalise.to_string(), "/ 16 - [0.5] / [1.0]");
        assert_eq!(set.choices, "normalise = mean 0.5\n");
    }

    #[test]
    fn a_folder_that_is_not_understood_says_what_to_do() {
        let folder = TempFolder::new("folders");
        let text = || Dataset::open(&folder.path("")).unwrap_err().text;
        assert!(text().contains("no samples of a known format: MNIST's IDX files (train-images-idx3-ubyte), "));
        folder.put("data_batch_1", &[]);
        assert!(text().contains("get the binary version"));
        folder.put("cifar-10-binary.tar.gz", &[]);
        assert!(text().ends_with("cifar-10-binary.tar.gz: an archive; unpack it and give the folder with its files"));
        std::fs::create_dir(folder.0.join("inner")).unwrap();
        folder.put("inner/train_32x32.mat", &[]);
        assert!(text().contains("SVHN's cropped digits are in ") && text().ends_with("inner"), "{}", text());
        folder.put("train.bin", &[]).put("train-images-idx3-ubyte", &[]);
        assert!(text().contains("holds MNIST's IDX files and CIFAR-100's binary files"));
        let file = |name: &str| Dataset::open(&folder.path(name)).unwrap_err().text;
        assert!(file("train.bin").ends_with("one file of a data set; give its folder"));
        assert!(file("cifar-10-binary.tar.gz").contains("unpack it"));
    }
}
