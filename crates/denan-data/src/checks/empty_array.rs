//! An array or table that holds nothing.

check!(EmptyArray, Warning, "empty-array", "array holds no values", "arrays hold no values");
