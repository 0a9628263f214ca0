//! How an infinite bound is written: as nothing, because JSON has no infinity and the bound of no
//! values must survive a round trip.

macro_rules! bound {
    ($name:ident, $doc:literal, $absent:expr) => {
        #[doc = $doc]
        pub(crate) mod $name {
            use serde::{Deserialize, Deserializer, Serialize, Serializer};

            pub(crate) fn serialize<S: Serializer>(value: &f64, to: S) -> Result<S::Ok, S::Error> {
                value.is_finite().then_some(*value).serialize(to)
            }

            pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
                Ok(Option::<f64>::deserialize(from)?.unwrap_or($absent))
            }
        }
    };
}

bound!(lower, "A lower bound, or a sum of squares: nothing stands for `+inf`.", f64::INFINITY);
bound!(upper, "An upper bound: nothing stands for `-inf`.", f64::NEG_INFINITY);
