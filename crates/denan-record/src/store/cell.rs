//! How a value rests in a cell so that it comes back as it was and can still be queried.
//!
//! | value | rests as |
//! |---|---|
//! | finite number, zero of either sign, infinity | `REAL`; an infinity is `9e999` in SQL |
//! | NaN | the text `NaN` (SQLite turns a NaN that is bound as `REAL` into `NULL`) |
//! | absent | `NULL` |
//! | count, index, bits | `INTEGER`; from 2^63 on it shows as the negative number with the same bits |
//! | shape | JSON text |
//! | enum | its word in the contract |
//!
//! SQLite sorts text after every number, so `loss > 100` finds NaN as well as what is on
//! its way there. Sign and payload of a NaN are not kept.

use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, Value, ValueRef};
use serde::de::value::StrDeserializer;
use serde::de::{DeserializeOwned, IntoDeserializer};
use serde::{Deserialize, Serialize};

/// A floating-point number of any kind.
#[derive(Clone, Copy, Debug)]
pub(super) struct Real(pub f64);

impl ToSql for Real {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(if self.0.is_nan() {
            ToSqlOutput::Borrowed(ValueRef::Text(b"NaN"))
        } else {
            ToSqlOutput::Owned(Value::Real(self.0))
        })
    }
}

impl FromSql for Real {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        match value {
            ValueRef::Real(number) => Ok(Self(number)),
            ValueRef::Text(b"NaN") => Ok(Self(f64::NAN)),
            _ => Err(FromSqlError::InvalidType),
        }
    }
}

/// An unsigned number, all 64 bits of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bits(pub u64);

impl ToSql for Bits {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Owned(Value::Integer(self.0.cast_signed())))
    }
}

impl FromSql for Bits {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        value.as_i64().map(|number| Self(number.cast_unsigned()))
    }
}

/// A shape or a position in a tensor.
#[derive(Clone, Debug)]
pub(super) struct Sizes(pub Vec<u64>);

impl Sizes {
    /// The text for a shape that is only lent.
    pub(super) fn text(sizes: &[u64]) -> String {
        serde_json::to_string(sizes).expect("numbers have a form in JSON")
    }
}

impl FromSql for Sizes {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let sizes = serde_json::from_str(value.as_str()?).map_err(FromSqlError::other)?;
        Ok(Self(sizes))
    }
}

/// An enum without data, as the word serde gives it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Word<T>(pub T);

impl<T: Serialize> ToSql for Word<T> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        match serde_json::to_value(&self.0) {
            Ok(serde_json::Value::String(word)) => Ok(ToSqlOutput::Owned(Value::Text(word))),
            _ => unreachable!("only enums without data are stored as words"),
        }
    }
}

impl<T: DeserializeOwned> FromSql for Word<T> {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let word: StrDeserializer<'_, serde::de::value::Error> = value.as_str()?.into_deserializer();
        T::deserialize(word).map(Self).map_err(FromSqlError::other)
    }
}

/// What a row of `parameter_step` is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Quantity {
    Gradient,
    Value,
    Update,
}

/// Whether an operation read a tensor or made it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Direction {
    Input,
    Output,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Ending, Kind, Phase, Role};
    use rusqlite::Connection;

    fn through_a_cell<T: ToSql + FromSql>(value: T) -> T {
        let db = Connection::open_in_memory().unwrap();
        db.execute_batch("CREATE TABLE t (x)").unwrap();
        db.execute("INSERT INTO t VALUES (?1)", [value]).unwrap();
        db.query_row("SELECT x FROM t", [], |row| row.get(0)).unwrap()
    }

    #[test]
    fn every_number_comes_back_bit_by_bit() {
        for number in
            [0.0, -0.0, 1.0, -1.5, 0.1, f64::MIN_POSITIVE, 5e-324, f64::MAX, f64::INFINITY, f64::NEG_INFINITY]
        {
            let back = through_a_cell(Some(Real(number))).unwrap();
            assert_eq!(back.0.to_bits(), number.to_bits(), "{number}");
        }
        assert!(through_a_cell(Some(Real(-f64::NAN))).unwrap().0.is_nan());
        assert!(through_a_cell(None::<Real>).is_none());
        for bits in [0, 1, u64::MAX, 1 << 63, f64::NAN.to_bits()] {
            assert_eq!(through_a_cell(Bits(bits)).0, bits);
        }
    }

    #[test]
    fn a_query_can_tell_nan_infinity_and_absence_apart() {
        let db = Connection::open_in_memory().unwrap();
        db.execute_batch("CREATE TABLE t (id INTEGER PRIMARY KEY, x)").unwrap();
        let values =
            [Some(0.5), Some(f64::NAN), Some(f64::INFINITY), Some(f64::NEG_INFINITY), None, Some(200.0)];
        for value in values {
            db.execute("INSERT INTO t (x) VALUES (?1)", [value.map(Real)]).unwrap();
        }
        let check = |condition: &str, expected: &[i64]| {
            let mut query = db.prepare(&format!("SELECT id FROM t WHERE {condition} ORDER BY id")).unwrap();
            let found: Vec<i64> =
                query.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
            assert_eq!(found, expected, "{condition}");
        };
        check("x = 'NaN'", &[2]);
        check("x = 9e999", &[3]);
        check("x = -9e999", &[4]);
        check("x IS NULL", &[5]);
        check("x > 100", &[2, 3, 6]);
        check("x IN ('NaN', 9e999, -9e999)", &[2, 3, 4]);
    }

    #[test]
    fn words_are_those_of_the_contract() {
        fn check<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug + Copy>(value: T, word: &str) {
            let db = Connection::open_in_memory().unwrap();
            let (text, back): (String, Word<T>) =
                db.query_row("SELECT ?1, ?1", [Word(value)], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
            assert_eq!(text, word);
            assert_eq!(back.0, value);
        }
        for phase in
            [Phase::Input, Phase::Forward, Phase::Loss, Phase::Backward, Phase::Optimizer, Phase::Parameter]
        {
            check(phase, phase.as_str());
        }
        for kind in [Kind::Nan, Kind::Infinity, Kind::NegativeInfinity] {
            check(kind, kind.as_str());
        }
        check(Role::OptimizerState, "optimizer-state");
        check(Ending::StoppedAfterBreak, "stopped-after-break");
        check(Quantity::Gradient, "gradient");
        check(Direction::Output, "output");
    }
}
