//! The types of numbers that are read, and what the file formats call them.

use std::fmt;

/// The type of the elements of an array.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Dtype {
    F16,
    BF16,
    F32,
    F64,
    I8,
    I16,
    I32,
    I64,
    U8,
    U16,
    U32,
    U64,
    Bool,
}

impl Dtype {
    /// Bytes of an element.
    pub(crate) fn size(self) -> u64 {
        match self {
            Self::I8 | Self::U8 | Self::Bool => 1,
            Self::F16 | Self::BF16 | Self::I16 | Self::U16 => 2,
            Self::F32 | Self::I32 | Self::U32 => 4,
            Self::F64 | Self::I64 | Self::U64 => 8,
        }
    }

    pub(crate) fn is_float(self) -> bool {
        matches!(self, Self::F16 | Self::BF16 | Self::F32 | Self::F64)
    }

    /// By a `descr` of NumPy such as `<f4`, and whether the most significant byte comes first.
    pub(crate) fn from_numpy(descr: &str) -> Option<(Self, bool)> {
        let (is_big, kind) = match descr.split_at_checked(1)? {
            ("<" | "|", kind) => (false, kind),
            (">", kind) => (true, kind),
            ("=", kind) => (cfg!(target_endian = "big"), kind),
            _ => (cfg!(target_endian = "big"), descr),
        };
        let dtype = match kind {
            "f2" => Self::F16,
            "f4" => Self::F32,
            "f8" => Self::F64,
            "i1" => Self::I8,
            "i2" => Self::I16,
            "i4" => Self::I32,
            "i8" => Self::I64,
            "u1" => Self::U8,
            "u2" => Self::U16,
            "u4" => Self::U32,
            "u8" => Self::U64,
            "b1" | "?" => Self::Bool,
            _ => return None,
        };
        Some((dtype, is_big && dtype.size() > 1))
    }

    /// By a `dtype` of safetensors such as `F32`.
    pub(crate) fn from_safetensors(name: &str) -> Option<Self> {
        Some(match name {
            "F16" => Self::F16,
            "BF16" => Self::BF16,
            "F32" => Self::F32,
            "F64" => Self::F64,
            "I8" => Self::I8,
            "I16" => Self::I16,
            "I32" => Self::I32,
            "I64" => Self::I64,
            "U8" => Self::U8,
            "U16" => Self::U16,
            "U32" => Self::U32,
            "U64" => Self::U64,
            "BOOL" => Self::Bool,
            _ => return None,
        })
    }

    /// What safetensors calls it.
    pub(crate) fn safetensors(self) -> &'static str {
        match self {
            Self::F16 => "F16",
            Self::BF16 => "BF16",
            Self::F32 => "F32",
            Self::F64 => "F64",
            Self::I8 => "I8",
            Self::I16 => "I16",
            Self::I32 => "I32",
            Self::I64 => "I64",
            Self::U8 => "U8",
            Self::U16 => "U16",
            Self::U32 => "U32",
            Self::U64 => "U64",
            Self::Bool => "BOOL",
        }
    }

    /// By the name of a storage of PyTorch such as `FloatStorage`, or of a dtype such as `float32`.
    pub(crate) fn from_torch(name: &str) -> Option<Self> {
        Some(match name {
            "HalfStorage" | "float16" => Self::F16,
            "BFloat16Storage" | "bfloat16" => Self::BF16,
            "FloatStorage" | "float32" => Self::F32,
            "DoubleStorage" | "float64" => Self::F64,
            "CharStorage" | "int8" => Self::I8,
            "ShortStorage" | "int16" => Self::I16,
            "IntStorage" | "int32" => Self::I32,
            "LongStorage" | "int64" => Self::I64,
            "ByteStorage" | "uint8" => Self::U8,
            "uint16" => Self::U16,
            "uint32" => Self::U32,
            "uint64" => Self::U64,
            "BoolStorage" | "bool" => Self::Bool,
            _ => return None,
        })
    }
}

impl fmt::Display for Dtype {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(match self {
            Self::F16 => "float16",
            Self::BF16 => "bfloat16",
            Self::F32 => "float32",
            Self::F64 => "float64",
            Self::I8 => "int8",
            Self::I16 => "int16",
            Self::I32 => "int32",
            Self::I64 => "int64",
            Self::U8 => "uint8",
            Self::U16 => "uint16",
            Self::U32 => "uint32",
            Self::U64 => "uint64",
            Self::Bool => "bool",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_agree_on_their_names() {
        for [numpy, safetensors, torch, name] in [
            ["<f2", "F16", "HalfStorage", "float16"],
            ["<f4", "F32", "FloatStorage", "float32"],
            ["<f8", "F64", "DoubleStorage", "float64"],
            ["|i1", "I8", "CharStorage", "int8"],
            ["<i2", "I16", "ShortStorage", "int16"],
            ["<i4", "I32", "IntStorage", "int32"],
            ["<i8", "I64", "LongStorage", "int64"],
            ["|u1", "U8", "ByteStorage", "uint8"],
            ["<u2", "U16", "uint16", "uint16"],
            ["<u4", "U32", "uint32", "uint32"],
            ["<u8", "U64", "uint64", "uint64"],
            ["|b1", "BOOL", "BoolStorage", "bool"],
        ] {
            let dtype = Dtype::from_torch(torch).unwrap();
            assert_eq!(dtype.to_string(), name);
            assert_eq!(Dtype::from_torch(name), Some(dtype));
            assert_eq!(Dtype::from_numpy(numpy), Some((dtype, false)));
            assert_eq!(Dtype::from_safetensors(safetensors), Some(dtype));
        }
        assert_eq!(Dtype::from_torch("bfloat16"), Dtype::from_safetensors("BF16"));
    }

    #[test]
    fn the_order_of_bytes_is_told() {
        assert_eq!(Dtype::from_numpy(">f4"), Some((Dtype::F32, true)));
        assert_eq!(Dtype::from_numpy(">u1"), Some((Dtype::U8, false)));
        assert_eq!(Dtype::from_numpy("?"), Some((Dtype::Bool, false)));
    }

    #[test]
    fn other_types_are_none() {
        for descr in ["", "<", "f", "<f16", "<c8", "|S3", "<U5", "|O", "<M8[ns]", "é4"] {
            assert_eq!(Dtype::from_numpy(descr), None, "{descr}");
        }
        assert_eq!(Dtype::from_safetensors("F8_E4M3"), None);
        assert_eq!(Dtype::from_torch("ComplexFloatStorage"), None);
    }
}
