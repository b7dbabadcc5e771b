//! Enums that are words: one spelling of each variant, for files, for people, and on the way back.

#![forbid(unsafe_code)]

/// An enum without data, with a word for each variant: its name, what it prints as, what it is in files.
macro_rules! spelled {
    ($(#[$of:meta])* pub enum $Name:ident { $($(#[$each:meta])* $Variant:ident = $word:expr,)+ }) => {
        $(#[$of])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $Name {
            $($(#[$each])* $Variant,)+
        }

        impl $Name {
            /// All of them, in their order.
            pub const ALL: &'static [$Name] = &[$($Name::$Variant),+];

            /// The word for it.
            pub const fn name(self) -> &'static str {
                match self {
                    $($Name::$Variant => $word,)+
                }
            }

            /// The one of a word.
            pub fn of(word: &str) -> Option<$Name> {
                $Name::ALL.iter().copied().find(|one| one.name() == word)
            }
        }

        impl std::fmt::Display for $Name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.name())
            }
        }

        impl serde::Serialize for $Name {
            fn serialize<S: serde::Serializer>(&self, to: S) -> std::result::Result<S::Ok, S::Error> {
                to.serialize_str(self.name())
            }
        }

        impl<'de> serde::Deserialize<'de> for $Name {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> std::result::Result<$Name, D::Error> {
                const WORDS: &[&str] = &[$($word),+];
                let word = <String as serde::Deserialize>::deserialize(from)?;
                $Name::of(&word).ok_or_else(|| serde::de::Error::unknown_variant(&word, WORDS))
            }
        }
    };
}
pub(crate) use spelled;
