//! A sample of a tar file without a part that most others have.

check!(
    IncompleteSample,
    Warning,
    "incomplete-sample",
    "sample lacks a part that most have",
    "samples lack a part that most have"
);
