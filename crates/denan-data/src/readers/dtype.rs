//! Element types of arrays, as files name them.

use std::fmt;

/// An element type that is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub(crate) enum Dtype {
    F16,
    Bf16,
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

/// Each type with its name in numpy, that in safetensors, and the name of PyTorch's storages of it.
const NAMES: [(Dtype, &str, &str, &str); 13] = [
    (Dtype::F16, "float16", "F16", "HalfStorage"),
    (Dtype::Bf16, "bfloat16", "BF16", "BFloat16Storage"),
    (Dtype::F32, "float32", "F32", "FloatStorage"),
    (Dtype::F64, "float64", "F64", "DoubleStorage"),
    (Dtype::I8, "int8", "I8", "CharStorage"),
    (Dtype::I16, "int16", "I16", "ShortStorage"),
    (Dtype::I32, "int32", "I32", "IntStorage"),
    (Dtype::I64, "int64", "I64", "LongStorage"),
    (Dtype::U8, "uint8", "U8", "ByteStorage"),
    (Dtype::U16, "uint16", "U16", "UInt16Storage"),
    (Dtype::U32, "uint32", "U32", "UInt32Storage"),
    (Dtype::U64, "uint64", "U64", "UInt64Storage"),
    (Dtype::Bool, "bool", "BOOL", "BoolStorage"),
];

impl Dtype {
    /// Bytes of an element.
    pub(crate) fn size(self) -> usize {
        match self {
            Self::I8 | Self::U8 | Self::Bool => 1,
            Self::F16 | Self::Bf16 | Self::I16 | Self::U16 => 2,
            Self::F32 | Self::I32 | Self::U32 => 4,
            Self::F64 | Self::I64 | Self::U64 => 8,
        }
    }

    pub(crate) fn is_float(self) -> bool {
        matches!(self, Self::F16 | Self::Bf16 | Self::F32 | Self::F64)
    }

    /// By its name in numpy: `float32`.
    pub(crate) fn of_name(name: &str) -> Option<Self> {
        NAMES.iter().find(|(_, numpy, ..)| *numpy == name).map(|(dtype, ..)| *dtype)
    }

    /// By its name in a safetensors header: `F32`.
    pub(crate) fn of_safetensors(name: &str) -> Option<Self> {
        NAMES.iter().find(|(_, _, safetensors, _)| *safetensors == name).map(|(dtype, ..)| *dtype)
    }

    /// By the name of PyTorch's storage: `FloatStorage`.
    pub(crate) fn of_storage(name: &str) -> Option<Self> {
        NAMES.iter().find(|(.., storage)| *storage == name).map(|(dtype, ..)| *dtype)
    }

    /// By kind and bytes as in numpy's array protocol: `f` and 4.
    pub(crate) fn of_kind(kind: char, bytes: u64) -> Option<Self> {
        Some(match (kind, bytes) {
            ('f', 2) => Self::F16,
            ('f', 4) => Self::F32,
            ('f', 8) => Self::F64,
            ('i', 1) => Self::I8,
            ('i', 2) => Self::I16,
            ('i', 4) => Self::I32,
            ('i', 8) => Self::I64,
            ('u', 1) => Self::U8,
            ('u', 2) => Self::U16,
            ('u', 4) => Self::U32,
            ('u', 8) => Self::U64,
            ('b', 1) => Self::Bool,
            _ => return None,
        })
    }
}

impl fmt::Display for Dtype {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (_, name, ..) = NAMES.iter().find(|(dtype, ..)| dtype == self).expect("each type has a name");
        to.write_str(name)
    }
}
