//! The tables of a record, and what marks a file as one.
//!
//! The comments inside the SQL are for the people who query a record: SQLite keeps them in the
//! file (`.schema` shows them), and `docs/record.md` is made of them. The first comment of a
//! table is about the table, the comment after a column about the column.
//!
//! Columns that hold floating-point numbers have no declared type on purpose: under `REAL`,
//! SQLite would store `-0.0` as the integer 0. The tables are not `STRICT` because libraries
//! older than SQLite 3.37 could not open the file at all.

/// Version of the tables, kept in the file as `PRAGMA user_version`.
///
/// It goes up by one whenever a reader of the version before would misunderstand or miss
/// something.
pub const SCHEMA_VERSION: u32 = 5;

/// Marks an SQLite file as a record, as `PRAGMA application_id`: `dnan` in ASCII.
pub const APPLICATION_ID: i32 = 0x646e_616e;

/// All tables of an empty record.
pub(super) const TABLES: &str = "
CREATE TABLE header ( -- what was run; one row, or none if the training never reached its engine
  id INTEGER PRIMARY KEY CHECK (id = 1), -- always 1
  engine TEXT NOT NULL, -- engine and version, e.g. `burn 0.22.1`
  process_id INTEGER NOT NULL, -- operating-system process id of the training
  started_unix_ms INTEGER NOT NULL, -- milliseconds since the Unix epoch
  seed INTEGER NOT NULL, -- seed denan gave to the engine
  intervention TEXT, -- the one thing denan changed in this run, or null
  rank INTEGER, -- number of the process among those that train together, or null where there is one
  ranks INTEGER -- how many there are, or null
);
CREATE TABLE parameter ( -- trainable tensors
  slot INTEGER PRIMARY KEY, -- position in the optimizer's order of updates, from 0
  name TEXT, -- path in the model, or null if the program did not tell it
  shape TEXT NOT NULL, -- sizes of the dimensions as JSON, e.g. `[16,10]`
  dtype TEXT NOT NULL, -- element type, e.g. `float32`
  file TEXT, -- file in which it was first used, or null
  line INTEGER, -- 1-based line in that file
  column INTEGER, -- 1-based column in that line, 0 if unknown
  function TEXT -- function around that line, or null
);
CREATE TABLE optimizer ( -- what updates the parameters; one row, or none before the first step
  id INTEGER PRIMARY KEY CHECK (id = 1), -- always 1
  name TEXT, -- its type, e.g. `Adam`, or null if unknown
  file TEXT, -- file of the line that has it make a step, or null
  line INTEGER, -- 1-based line in that file
  column INTEGER, -- 1-based column in that line, 0 if unknown
  function TEXT -- function around that line, or null
);
CREATE TABLE step ( -- optimizer steps; older ones are thinned out evenly
  step INTEGER PRIMARY KEY, -- number of the step, from 0
  loss, -- value the backward pass started from
  loss_bits INTEGER, -- bits of the loss in its own dtype: equal bits mean the same step
  learning_rate, -- rate in force, or null if it could not be read off
  gradient_norm, -- Euclidean norm over the gradients of all parameters; this and the next three are null in a step that was not gone through
  weight_norm, -- Euclidean norm over all parameters after the update
  update_norm, -- Euclidean norm over all updates
  largest_value, -- largest finite magnitude of any value made in the step
  operations INTEGER NOT NULL, -- operations seen in the step
  elapsed_us INTEGER NOT NULL, -- microseconds since the first operation of the training, at the end of the step
  watching_us INTEGER NOT NULL, -- microseconds of the step that denan cost
  carries_gradients INTEGER -- 1 if gradients of an earlier step were still there when the backward pass began, else 0; null where the engine keeps none
);
CREATE TABLE parameter_step ( -- one parameter in one step, for the steps that are kept whole
  step INTEGER NOT NULL, -- see `step.step`
  slot INTEGER NOT NULL, -- see `parameter.slot`
  quantity TEXT NOT NULL, -- `gradient`, `value` (after the update) or `update` (what was subtracted)
  count INTEGER NOT NULL, -- number of elements
  nan INTEGER NOT NULL, -- how many of them are NaN
  pos_inf INTEGER NOT NULL, -- how many are plus infinity
  neg_inf INTEGER NOT NULL, -- how many are minus infinity
  zeros INTEGER NOT NULL, -- how many are zero
  subnormals INTEGER NOT NULL, -- how many are subnormal
  min NOT NULL, -- smallest finite value; plus infinity if there is none
  max NOT NULL, -- largest finite value; minus infinity if there is none
  mean NOT NULL, -- mean of the finite values
  m2 NOT NULL, -- sum of the squared distances of the finite values from their mean
  PRIMARY KEY (step, slot, quantity)
) WITHOUT ROWID;
CREATE TABLE batch ( -- batches, for the steps that are kept whole; a step may consume several
  batch INTEGER PRIMARY KEY, -- rises in the order in which the batches were consumed
  step INTEGER NOT NULL, -- step that consumed it, see `step.step`
  size INTEGER NOT NULL -- number of samples
);
CREATE INDEX batch_of_step ON batch (step);
CREATE TABLE batch_sample ( -- samples that made up a batch
  batch INTEGER NOT NULL, -- see `batch.batch`
  batch_row INTEGER NOT NULL, -- position in the batch, from 0
  sample_index INTEGER NOT NULL, -- index in the data set, before any shuffling
  sample_name TEXT, -- file name, key or whatever the program calls it, or null
  PRIMARY KEY (batch, batch_row)
) WITHOUT ROWID;
CREATE TABLE break ( -- the first step in which a value became NaN or infinite; one row, or none
  id INTEGER PRIMARY KEY CHECK (id = 1), -- always 1
  step INTEGER NOT NULL, -- number of the step, from 0
  phase TEXT NOT NULL, -- `input`, `forward`, `loss`, `backward`, `optimizer` or `parameter`
  kind TEXT NOT NULL, -- `nan`, `inf` or `-inf`
  loss_is_bad INTEGER NOT NULL, -- 1 if the loss itself was NaN or infinite
  parameters_are_bad INTEGER NOT NULL, -- 1 if parameters were NaN or infinite after the step
  in_evaluation INTEGER NOT NULL -- 1 if an evaluation before this step broke, and not the training
);
CREATE TABLE break_operation ( -- the operation that made the first bad value, and those that handed it on
  position INTEGER PRIMARY KEY, -- 0 is the producer, the others follow it to loss, gradient or parameter
  sequence INTEGER NOT NULL, -- order of execution within the step, from 0
  op TEXT NOT NULL, -- plain name of the call, e.g. `log`, `div`, `matmul`
  carried_out TEXT, -- operation that was carried out, where that differs from `op`
  phase TEXT NOT NULL, -- part of the step, as in `break.phase`
  module TEXT, -- path in the model, or null
  parameter TEXT, -- parameter being updated, in the optimizer phase
  file TEXT, -- file of the user's own line, or null
  line INTEGER, -- that line, 1-based
  column INTEGER, -- 1-based column in that line, 0 if unknown
  function TEXT, -- function around that line, or null
  forward_file TEXT, -- in the backward phase: file of the forward call
  forward_line INTEGER, -- line of the forward call, 1-based
  forward_column INTEGER, -- 1-based column in that line, 0 if unknown
  forward_function TEXT, -- function around that line, or null
  scalar -- a scalar argument: the exponent of `powf`, the addend of `add`
);
CREATE TABLE break_tensor ( -- what these operations read and made
  position INTEGER NOT NULL, -- see `break_operation.position`
  direction TEXT NOT NULL, -- `input` or `output`
  argument INTEGER NOT NULL, -- which input, from 0; 0 for the output
  role TEXT NOT NULL, -- `data`, `parameter`, `activation`, `gradient`, `optimizer-state` or `constant`
  parameter TEXT, -- path in the model if it is a named parameter
  made_by TEXT, -- the call of the forward pass that made its values, as in `break_operation.op`
  shape TEXT NOT NULL, -- sizes of the dimensions as JSON
  dtype TEXT NOT NULL, -- element type
  count INTEGER NOT NULL, -- number of elements
  nan INTEGER NOT NULL, -- how many of them are NaN
  pos_inf INTEGER NOT NULL, -- how many are plus infinity
  neg_inf INTEGER NOT NULL, -- how many are minus infinity
  zeros INTEGER NOT NULL, -- how many are zero
  min NOT NULL, -- smallest finite value; plus infinity if there is none
  max NOT NULL, -- largest finite value; minus infinity if there is none
  PRIMARY KEY (position, direction, argument)
) WITHOUT ROWID;
CREATE TABLE break_sample ( -- samples of the breaking step
  position INTEGER PRIMARY KEY, -- row of the batch, from 0
  sample_index INTEGER NOT NULL, -- index in the data set, before any shuffling
  sample_name TEXT -- file name, key or whatever the program calls it, or null
);
CREATE TABLE break_row ( -- rows of the batch that carry the bad value, when it could be followed back
  position INTEGER PRIMARY KEY, -- order in which they were found, from 0
  batch_row INTEGER NOT NULL -- the row, see `break_sample.position`
);
CREATE TABLE origin ( -- elements of batch tensors to which the bad value was followed back
  origin INTEGER PRIMARY KEY, -- from 0
  shape TEXT NOT NULL, -- sizes of the dimensions of the batch tensor as JSON
  element TEXT NOT NULL, -- position of the element in it as JSON, one index a dimension
  batch_row INTEGER, -- row of the batch the element belongs to, or null
  sample_index INTEGER, -- sample in that row: its index in the data set, or null
  sample_name TEXT, -- its name, or null
  file TEXT, -- file of the line where the tensor entered the engine, or null
  line INTEGER, -- that line, 1-based
  column INTEGER, -- 1-based column in that line, 0 if unknown
  function TEXT, -- function around that line, or null
  count INTEGER NOT NULL, -- number of elements of the batch tensor
  nan INTEGER NOT NULL, -- how many of them are NaN
  pos_inf INTEGER NOT NULL, -- how many are plus infinity
  neg_inf INTEGER NOT NULL, -- how many are minus infinity
  zeros INTEGER NOT NULL, -- how many are zero
  min NOT NULL, -- smallest finite value; plus infinity if there is none
  max NOT NULL -- largest finite value; minus infinity if there is none
);
CREATE TABLE origin_value ( -- the element and its neighbours along the last dimension
  origin INTEGER NOT NULL, -- see `origin.origin`
  position INTEGER NOT NULL, -- index along the last dimension, from 0
  value NOT NULL, -- the value
  PRIMARY KEY (origin, position)
) WITHOUT ROWID;
CREATE TABLE origin_column ( -- all values of the batch tensor at one index of the last dimension, for comparison
  origin INTEGER NOT NULL, -- see `origin.origin`
  position INTEGER NOT NULL, -- index along the last dimension, from 0
  count INTEGER NOT NULL, -- number of elements
  nan INTEGER NOT NULL, -- how many of them are NaN
  pos_inf INTEGER NOT NULL, -- how many are plus infinity
  neg_inf INTEGER NOT NULL, -- how many are minus infinity
  zeros INTEGER NOT NULL, -- how many are zero
  min NOT NULL, -- smallest finite value; plus infinity if there is none
  max NOT NULL, -- largest finite value; minus infinity if there is none
  PRIMARY KEY (origin, position)
) WITHOUT ROWID;
CREATE TABLE parameter_start ( -- how a parameter began
  slot INTEGER PRIMARY KEY, -- see `parameter.slot`
  first_update INTEGER, -- optimizer step that first updated it, or null
  thread INTEGER, -- thread whose operation made it, in the order in which threads first called one
  operation INTEGER, -- number of that operation within its thread, from 0
  count INTEGER NOT NULL, -- number of elements
  nan INTEGER NOT NULL, -- how many of them are NaN
  pos_inf INTEGER NOT NULL, -- how many are plus infinity
  neg_inf INTEGER NOT NULL, -- how many are minus infinity
  zeros INTEGER NOT NULL, -- how many are zero
  subnormals INTEGER NOT NULL, -- how many are subnormal
  min NOT NULL, -- smallest finite value; plus infinity if there is none
  max NOT NULL, -- largest finite value; minus infinity if there is none
  mean NOT NULL, -- mean of the finite values
  m2 NOT NULL -- sum of the squared distances of the finite values from their mean
);
CREATE TABLE graph ( -- steps whose operations are kept: the first, the one before the break, the breaking one
  step INTEGER PRIMARY KEY, -- number of the step, from 0
  producer INTEGER, -- in the breaking step: node whose operation made the first bad value, see `graph_node.node`
  left_out INTEGER NOT NULL -- operations that are missing, because there were too many
);
CREATE TABLE graph_node ( -- a tensor of such a step and the operation that made it
  step INTEGER NOT NULL, -- see `graph.step`
  node INTEGER NOT NULL, -- order in which they were made, from 0
  op TEXT NOT NULL, -- operation that was carried out, e.g. `matmul`; `input` for data
  call TEXT, -- call it was part of, e.g. `softmax`, where that has another name; in the backward phase the call whose gradient it computes
  phase TEXT NOT NULL, -- part of the step, as in `break.phase`
  scalar, -- a scalar argument
  kernel TEXT, -- kernel of a pooling as JSON, or null
  stride TEXT, -- stride of a pooling as JSON, or null
  file TEXT, -- file of the user's own line, or null
  line INTEGER, -- that line, 1-based
  column INTEGER, -- 1-based column in that line, 0 if unknown
  function TEXT, -- function around that line, or null
  inputs TEXT NOT NULL, -- nodes it was made of as JSON
  shape TEXT NOT NULL, -- sizes of the dimensions as JSON
  dtype TEXT NOT NULL, -- element type
  role TEXT NOT NULL, -- `data`, `parameter`, `activation`, `gradient`, `optimizer-state` or `constant`
  slot INTEGER, -- the parameter it is, see `parameter.slot`, or null
  is_new INTEGER NOT NULL, -- 1 if it was made in this step
  count INTEGER NOT NULL, -- number of elements
  nan INTEGER NOT NULL, -- how many of them are NaN
  pos_inf INTEGER NOT NULL, -- how many are plus infinity
  neg_inf INTEGER NOT NULL, -- how many are minus infinity
  zeros INTEGER NOT NULL, -- how many are zero
  min NOT NULL, -- smallest finite value; plus infinity if there is none
  max NOT NULL, -- largest finite value; minus infinity if there is none
  batch_rows TEXT, -- of data: the row of the batch it begins with and the elements of each row, as JSON
  elements BLOB, -- of small data tensors in the breaking step: elements as 64-bit floats, little endian
  PRIMARY KEY (step, node)
) WITHOUT ROWID;
CREATE TABLE data ( -- what entered the engine up to the break, by the line at which it did
  data INTEGER PRIMARY KEY, -- from 0
  file TEXT, -- file of that line, or null
  line INTEGER, -- that line, 1-based
  column INTEGER, -- 1-based column in that line, 0 if unknown
  function TEXT, -- function around that line, or null
  shape TEXT NOT NULL, -- shape of the last tensor as JSON
  dtype TEXT NOT NULL, -- element type
  tensors INTEGER NOT NULL, -- number of tensors
  axis INTEGER NOT NULL, -- dimension whose indices are the columns
  extreme, -- element of largest magnitude, or null
  extreme_column INTEGER, -- its column
  extreme_step INTEGER, -- step in which it was first seen
  extreme_row INTEGER, -- its index in the first dimension of its tensor
  sample_index INTEGER, -- sample it belongs to: its index in the data set, or null
  sample_name TEXT -- its name, or null
);
CREATE TABLE data_column ( -- one column of such data
  data INTEGER NOT NULL, -- see `data.data`
  position INTEGER NOT NULL, -- index of the column, from 0
  typical, -- median magnitude in the first tensor
  count INTEGER NOT NULL, -- number of elements
  nan INTEGER NOT NULL, -- how many of them are NaN
  pos_inf INTEGER NOT NULL, -- how many are plus infinity
  neg_inf INTEGER NOT NULL, -- how many are minus infinity
  zeros INTEGER NOT NULL, -- how many are zero
  subnormals INTEGER NOT NULL, -- how many are subnormal
  min NOT NULL, -- smallest finite value; plus infinity if there is none
  max NOT NULL, -- largest finite value; minus infinity if there is none
  mean NOT NULL, -- mean of the finite values
  m2 NOT NULL, -- sum of the squared distances of the finite values from their mean
  PRIMARY KEY (data, position)
) WITHOUT ROWID;
CREATE TABLE forecast ( -- tensors that grow and will overflow
  tensor INTEGER PRIMARY KEY, -- order in which they were noticed, from 0
  op TEXT NOT NULL, -- call that makes it
  phase TEXT NOT NULL, -- part of the step, as in `break.phase`
  file TEXT, -- file of the user's own line, or null
  line INTEGER, -- that line, 1-based
  column INTEGER, -- 1-based column in that line, 0 if unknown
  function TEXT, -- function around that line, or null
  dtype TEXT NOT NULL, -- element type
  at INTEGER NOT NULL, -- step of the forecast
  largest NOT NULL, -- largest magnitude then
  powers_left NOT NULL, -- powers of two between that and the largest number of the type
  powers_per_step NOT NULL, -- powers of two that it gained in each step
  step INTEGER NOT NULL -- step in which it overflows at this rate
);
CREATE TABLE act ( -- what a guard did to keep the training alive
  id INTEGER PRIMARY KEY, -- rises in the order in which it was done
  step INTEGER NOT NULL, -- number of the step, from 0
  what TEXT NOT NULL, -- `skipped-step`, `rolled-back`, `restored-buffers`, `left-out`, `kept-checkpoint` or `gave-up`
  why TEXT NOT NULL, -- why
  to_step INTEGER, -- of a roll back: the step before which the training was in this state, or null
  factor, -- of a roll back: what all learning rates are multiplied by from then on, or null
  file TEXT -- of a checkpoint: the file that was to be written, or null
);
CREATE TABLE act_sample ( -- samples that an act was about: those of a skipped batch, or those left out
  act INTEGER NOT NULL, -- see `act.id`
  position INTEGER NOT NULL, -- from 0
  sample_index INTEGER NOT NULL, -- index in the data set, before any shuffling
  sample_name TEXT, -- file name, key or whatever the program calls it, or null
  PRIMARY KEY (act, position)
) WITHOUT ROWID;
CREATE TABLE tape ( -- the breaking step as `denan replay` carries it out again; one row, or none
  id INTEGER PRIMARY KEY CHECK (id = 1), -- always 1
  step INTEGER NOT NULL, -- number of the step, from 0
  engine TEXT NOT NULL, -- engine and version that can carry it out
  tape BLOB NOT NULL -- operations and the tensors they read from outside, in postcard encoding (see `denan_record::tape`)
);
CREATE TABLE note ( -- what the adapter had to say about the watching itself
  id INTEGER PRIMARY KEY, -- rises in the order in which they were said
  text TEXT NOT NULL -- the note
);
CREATE TABLE ending ( -- how the training ended; no row while it runs and after a `kill -9`
  id INTEGER PRIMARY KEY CHECK (id = 1), -- always 1
  ending TEXT NOT NULL -- `completed`, `stopped-after-break` or `stopped-at-step`
);
";
