//! Pickles of Python, read without executing them: what a pickle would import and call is noted and never done.

use std::collections::HashMap;
use std::ops::Range;

/// Objects, values on the stack or values remembered beyond this number are an error.
const MOST_VALUES: usize = 16 << 20;

/// A pickle as a graph: a value can be reached in several ways, and can hold itself.
#[derive(Debug)]
pub(super) struct Pickle<'a> {
    /// The pickled value.
    pub(super) top: Value<'a>,
    objects: Vec<Object<'a>>,
    /// How many bytes it takes; another pickle may follow.
    pub(super) length: usize,
    places: Places,
}

/// Bytes of a pickle.
pub(crate) type Place = Range<usize>;

/// Where in a pickle something stands that may be written anew.
#[derive(Debug, Default)]
struct Places {
    /// Of each element of a tuple, by the object of the tuple, the operation that pushes it: all of a number, and of a class its name
    /// or what recalls it.
    elements: HashMap<u32, Vec<Place>>,
    /// Operations that say how many bytes follow, without which a pickle can be read as well.
    frames: Vec<Place>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Value<'a> {
    None,
    Bool(bool),
    Int(i64),
    /// An integer of more than 64 bits, the least significant byte first.
    Long(&'a [u8]),
    Text(&'a [u8]),
    /// A number, bytes, or whatever else is of no interest.
    Other,
    Object(u32),
}

#[derive(Debug)]
pub(super) enum Object<'a> {
    /// A tuple, a list or a set.
    Sequence(Vec<Value<'a>>),
    Map(Vec<(Value<'a>, Value<'a>)>),
    /// A class or a function by its module and name.
    Global(&'a str, &'a str),
    /// What a call would return.
    Made(Made<'a>),
    /// Something that is kept outside of the pickle.
    Persistent(Value<'a>),
}

/// A call that is not done.
#[derive(Debug)]
pub(super) struct Made<'a> {
    pub(super) by: Value<'a>,
    pub(super) arguments: Value<'a>,
    /// State, elements and entries that the object would be given.
    pub(super) given: Vec<Value<'a>>,
}

impl<'a> Pickle<'a> {
    /// Reads the pickle at the beginning of `bytes`.
    pub(super) fn read(bytes: &'a [u8]) -> Result<Self, String> {
        Self::read_at_most(bytes, MOST_VALUES)
    }

    /// Reads the pickle at the beginning of `bytes`, and where the elements of its tuples stand.
    pub(super) fn read_with_places(bytes: &'a [u8]) -> Result<Self, String> {
        Self::run(Machine { bytes, most: MOST_VALUES, places: Some(Places::default()), ..Machine::default() })
    }

    fn read_at_most(bytes: &'a [u8], most: usize) -> Result<Self, String> {
        Self::run(Machine { bytes, most, ..Machine::default() })
    }

    fn run(mut machine: Machine<'a>) -> Result<Self, String> {
        let top = machine.run().map_err(|error| format!("{error} at byte {} of the pickle", machine.at))?;
        let Machine { objects, at: length, places, .. } = machine;
        Ok(Self { top, objects, length, places: places.unwrap_or_default() })
    }

    /// Where the elements of a tuple stand; nothing where that was not asked for.
    pub(super) fn places(&self, tuple: Value<'a>) -> Option<&[Place]> {
        match tuple {
            Value::Object(at) => self.places.elements.get(&at).map(Vec::as_slice),
            _ => None,
        }
    }

    /// Where the lengths of frames stand.
    pub(super) fn frames(&self) -> &[Place] {
        &self.places.frames
    }

    pub(super) fn object(&self, value: Value<'a>) -> Option<&Object<'a>> {
        match value {
            Value::Object(at) => self.objects.get(at as usize),
            _ => None,
        }
    }

    pub(super) fn objects(&self) -> &[Object<'a>] {
        &self.objects
    }

    pub(super) fn sequence(&self, value: Value<'a>) -> Option<&[Value<'a>]> {
        match self.object(value)? {
            Object::Sequence(elements) => Some(elements),
            _ => None,
        }
    }

    /// The module and the name of a class or function.
    pub(super) fn global(&self, value: Value<'a>) -> Option<(&'a str, &'a str)> {
        match self.object(value)? {
            Object::Global(module, name) => Some((module, name)),
            _ => None,
        }
    }
}

/// The machine for which a pickle is the program.
#[derive(Default)]
struct Machine<'a> {
    bytes: &'a [u8],
    at: usize,
    /// Objects, values on the stack or values remembered beyond this number are an error.
    most: usize,
    stack: Vec<Value<'a>>,
    /// Of each value on the stack the operation that pushed it, where places are asked for.
    pushed: Vec<Place>,
    /// The first byte of the operation.
    begin: usize,
    /// There where they are asked for.
    places: Option<Places>,
    /// Heights of the stack.
    marks: Vec<usize>,
    memo: HashMap<u64, Value<'a>>,
    objects: Vec<Object<'a>>,
}

impl<'a> Machine<'a> {
    fn run(&mut self) -> Result<Value<'a>, String> {
        loop {
            self.begin = self.at;
            let opcode = self.byte()?;
            match opcode {
                // PROTO, FRAME, STOP
                0x80 => _ = self.byte()?,
                0x95 => {
                    self.take(8)?;
                    if let Some(places) = &mut self.places {
                        places.frames.push(self.begin..self.at);
                    }
                }
                b'.' => return self.pop(),

                // MARK, POP, POP_MARK, DUP
                b'(' if self.marks.len() < self.most => self.marks.push(self.stack.len()),
                b'(' => return Err(too_much()),
                // A mark on top of the stack is a value to POP.
                b'0' if self.marks.last() == Some(&self.stack.len()) => _ = self.marks.pop(),
                b'0' => _ = self.pop()?,
                b'1' => _ = self.pop_mark()?,
                b'2' => self.push(self.top()?)?,

                // NONE, NEWTRUE, NEWFALSE
                b'N' => self.push(Value::None)?,
                0x88 => self.push(Value::Bool(true))?,
                0x89 => self.push(Value::Bool(false))?,

                // INT, LONG, BININT, BININT1, BININT2, LONG1, LONG4
                b'I' => {
                    let value = match self.line()? {
                        b"00" => Value::Bool(false),
                        b"01" => Value::Bool(true),
                        line => decimal(line),
                    };
                    self.push(value)?;
                }
                b'L' => {
                    let line = self.line()?;
                    self.push(decimal(line.strip_suffix(b"L").unwrap_or(line)))?;
                }
                b'J' => {
                    let value = (self.number(4)? as u32).cast_signed();
                    self.push(Value::Int(value.into()))?;
                }
                b'K' => self.push_number(1)?,
                b'M' => self.push_number(2)?,
                0x8a => self.push_long(1)?,
                0x8b => self.push_long(4)?,

                // FLOAT, BINFLOAT
                b'F' => {
                    self.line()?;
                    self.push(Value::Other)?;
                }
                b'G' => {
                    self.take(8)?;
                    self.push(Value::Other)?;
                }

                // STRING, BINSTRING, SHORT_BINSTRING, UNICODE, BINUNICODE, SHORT_BINUNICODE, BINUNICODE8
                b'S' => {
                    let line = self.line()?;
                    self.push(Value::Text(unquoted(line)))?;
                }
                b'V' => {
                    let line = self.line()?;
                    self.push(Value::Text(line))?;
                }
                b'U' | 0x8c => self.push_text(1)?,
                b'T' | b'X' => self.push_text(4)?,
                0x8d => self.push_text(8)?,

                // SHORT_BINBYTES, BINBYTES, BINBYTES8, BYTEARRAY8, NEXT_BUFFER, READONLY_BUFFER
                b'C' => self.skip_bytes(1)?,
                b'B' => self.skip_bytes(4)?,
                0x8e | 0x96 => self.skip_bytes(8)?,
                0x97 => self.push(Value::Other)?,
                0x98 => {}

                // EMPTY_TUPLE, EMPTY_LIST, EMPTY_SET, TUPLE1, TUPLE2, TUPLE3
                b')' | b']' | 0x8f => self.push_object(Object::Sequence(Vec::new()))?,
                0x85..=0x87 => {
                    let first = self.below(usize::from(opcode - 0x84))?;
                    let elements = self.pop_from(first);
                    self.push_tuple(elements)?;
                }
                // TUPLE, LIST, FROZENSET
                b't' => {
                    let mark = self.marks.pop().ok_or_else(damaged)?;
                    let elements = self.pop_from(mark);
                    self.push_tuple(elements)?;
                }
                b'l' | 0x91 => {
                    let elements = self.pop_mark()?;
                    self.push_object(Object::Sequence(elements))?;
                }
                // EMPTY_DICT, DICT
                b'}' => self.push_object(Object::Map(Vec::new()))?,
                b'd' => {
                    let entries = pairs(self.pop_mark()?)?;
                    self.push_object(Object::Map(entries))?;
                }
                // APPEND, APPENDS, ADDITEMS
                b'a' => {
                    let element = self.pop()?;
                    self.extend(vec![element])?;
                }
                b'e' | 0x90 => {
                    let elements = self.pop_mark()?;
                    self.extend(elements)?;
                }
                // SETITEM, SETITEMS
                b's' => {
                    let value = self.pop()?;
                    let key = self.pop()?;
                    self.set(vec![(key, value)])?;
                }
                b'u' => {
                    let entries = pairs(self.pop_mark()?)?;
                    self.set(entries)?;
                }

                // PUT, BINPUT, LONG_BINPUT, MEMOIZE
                b'p' => {
                    let key = self.index()?;
                    self.remember(key)?;
                }
                b'q' => {
                    let key = self.number(1)?;
                    self.remember(key)?;
                }
                b'r' => {
                    let key = self.number(4)?;
                    self.remember(key)?;
                }
                0x94 => self.remember(self.memo.len() as u64)?,
                // GET, BINGET, LONG_BINGET
                b'g' => {
                    let key = self.index()?;
                    self.recall(key)?;
                }
                b'h' => {
                    let key = self.number(1)?;
                    self.recall(key)?;
                }
                b'j' => {
                    let key = self.number(4)?;
                    self.recall(key)?;
                }

                // GLOBAL, STACK_GLOBAL, EXT1, EXT2, EXT4
                b'c' => {
                    let (module, name) = (self.line()?, self.line()?);
                    self.push_global(module, name)?;
                }
                0x93 => match (self.pop()?, self.pop()?) {
                    (Value::Text(name), Value::Text(module)) => self.push_global(module, name)?,
                    _ => return Err("a class has no name".to_owned()),
                },
                0x82..=0x84 => {
                    self.take([1, 2, 4][usize::from(opcode - 0x82)])?;
                    self.push(Value::Other)?;
                }

                // REDUCE, NEWOBJ, NEWOBJ_EX, INST, OBJ, BUILD: none of them calls anything.
                b'R' | 0x81 => {
                    let arguments = self.pop()?;
                    let by = self.pop()?;
                    self.push_made(by, arguments, Vec::new())?;
                }
                0x92 => {
                    let named = self.pop()?;
                    let arguments = self.pop()?;
                    let by = self.pop()?;
                    self.push_made(by, arguments, vec![named])?;
                }
                b'i' => {
                    let (module, name) = (self.line()?, self.line()?);
                    let arguments = self.pop_mark()?;
                    self.push_global(module, name)?;
                    let by = self.pop()?;
                    let arguments = self.add(Object::Sequence(arguments))?;
                    self.push_made(by, arguments, Vec::new())?;
                }
                b'o' => {
                    let mut arguments = self.pop_mark()?;
                    if arguments.is_empty() {
                        return Err(damaged());
                    }
                    let by = arguments.remove(0);
                    let arguments = self.add(Object::Sequence(arguments))?;
                    self.push_made(by, arguments, Vec::new())?;
                }
                b'b' => {
                    let state = self.pop()?;
                    let object = self.top()?;
                    if let Some(Object::Made(made)) = self.object(object) {
                        made.given.push(state);
                    }
                }

                // PERSID, BINPERSID
                b'P' => {
                    let line = self.line()?;
                    self.push_object(Object::Persistent(Value::Text(line)))?;
                }
                b'Q' => {
                    let id = self.pop()?;
                    self.push_object(Object::Persistent(id))?;
                }
                _ => return Err(format!("there is no operation 0x{opcode:02x}")),
            }
        }
    }

    fn take(&mut self, count: u64) -> Result<&'a [u8], String> {
        let rest = &self.bytes[self.at..];
        let taken = usize::try_from(count).ok().and_then(|count| rest.get(..count));
        let taken = taken.ok_or("the file is cut short")?;
        self.at += taken.len();
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8, String> {
        Ok(self.take(1)?[0])
    }

    /// A number without sign of at most eight bytes.
    fn number(&mut self, bytes: u64) -> Result<u64, String> {
        Ok(self.take(bytes)?.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }

    /// Up to the next newline, which is left out.
    fn line(&mut self) -> Result<&'a [u8], String> {
        let rest = &self.bytes[self.at..];
        let length = rest.iter().position(|byte| *byte == b'\n').ok_or("the file is cut short")?;
        self.at += length + 1;
        Ok(&rest[..length])
    }

    /// A number in decimal, in a line of its own.
    fn index(&mut self) -> Result<u64, String> {
        let line = self.line()?;
        std::str::from_utf8(line).ok().and_then(|line| line.parse().ok()).ok_or_else(damaged)
    }

    fn push(&mut self, value: Value<'a>) -> Result<(), String> {
        if self.stack.len() >= self.most {
            return Err(too_much());
        }
        self.stack.push(value);
        if self.places.is_some() {
            self.pushed.push(self.begin..self.at);
        }
        Ok(())
    }

    fn push_tuple(&mut self, (elements, places): (Vec<Value<'a>>, Vec<Place>)) -> Result<(), String> {
        if let Some(all) = &mut self.places {
            all.elements.insert(self.objects.len() as u32, places);
        }
        self.push_object(Object::Sequence(elements))
    }

    fn push_number(&mut self, bytes: u64) -> Result<(), String> {
        let number = self.number(bytes)?;
        self.push(Value::Int(number.cast_signed()))
    }

    /// An integer of any number of bytes, which is given in this many bytes.
    fn push_long(&mut self, bytes: u64) -> Result<(), String> {
        let count = self.number(bytes)?;
        let long = self.take(count)?;
        let value = match long {
            [] => Value::Int(0),
            [.., last] if long.len() <= 8 => {
                let mut whole = [if *last < 0x80 { 0 } else { 0xff }; 8];
                whole[..long.len()].copy_from_slice(long);
                Value::Int(i64::from_le_bytes(whole))
            }
            _ => Value::Long(long),
        };
        self.push(value)
    }

    fn push_text(&mut self, bytes: u64) -> Result<(), String> {
        let count = self.number(bytes)?;
        let text = self.take(count)?;
        self.push(Value::Text(text))
    }

    fn skip_bytes(&mut self, bytes: u64) -> Result<(), String> {
        let count = self.number(bytes)?;
        self.take(count)?;
        self.push(Value::Other)
    }

    fn push_global(&mut self, module: &'a [u8], name: &'a [u8]) -> Result<(), String> {
        let text = |bytes| std::str::from_utf8(bytes).map_err(|_| damaged());
        self.push_object(Object::Global(text(module)?, text(name)?))
    }

    fn push_made(
        &mut self,
        by: Value<'a>,
        arguments: Value<'a>,
        given: Vec<Value<'a>>,
    ) -> Result<(), String> {
        self.push_object(Object::Made(Made { by, arguments, given }))
    }

    fn push_object(&mut self, object: Object<'a>) -> Result<(), String> {
        let value = self.add(object)?;
        self.push(value)
    }

    fn add(&mut self, object: Object<'a>) -> Result<Value<'a>, String> {
        if self.objects.len() >= self.most {
            return Err(too_much());
        }
        self.objects.push(object);
        Ok(Value::Object(self.objects.len() as u32 - 1))
    }

    fn object(&mut self, value: Value<'a>) -> Option<&mut Object<'a>> {
        match value {
            Value::Object(at) => self.objects.get_mut(at as usize),
            _ => None,
        }
    }

    /// The height of the stack without its topmost values, none of which may lie below a mark.
    fn below(&self, count: usize) -> Result<usize, String> {
        let bottom = self.marks.last().copied().unwrap_or(0);
        self.stack.len().checked_sub(count).filter(|first| *first >= bottom).ok_or_else(damaged)
    }

    fn top(&self) -> Result<Value<'a>, String> {
        Ok(self.stack[self.below(1)?])
    }

    fn pop(&mut self) -> Result<Value<'a>, String> {
        let top = self.top()?;
        self.stack.pop();
        self.pushed.pop();
        Ok(top)
    }

    /// Everything from this height of the stack on, and where it was pushed.
    fn pop_from(&mut self, height: usize) -> (Vec<Value<'a>>, Vec<Place>) {
        let pushed = self.places.is_some().then(|| self.pushed.split_off(height));
        (self.stack.split_off(height), pushed.unwrap_or_default())
    }

    /// Everything above the topmost mark.
    fn pop_mark(&mut self) -> Result<Vec<Value<'a>>, String> {
        let mark = self.marks.pop().ok_or_else(damaged)?;
        Ok(self.pop_from(mark).0)
    }

    /// Appends to the sequence on top of the stack.
    fn extend(&mut self, elements: Vec<Value<'a>>) -> Result<(), String> {
        let top = self.top()?;
        match self.object(top) {
            Some(Object::Sequence(all)) => all.extend(elements),
            Some(Object::Made(made)) => {
                let last = made.given.last().copied().unwrap_or(Value::None);
                if let Some(Object::Sequence(all)) = self.object(last) {
                    all.extend(elements);
                } else {
                    let given = self.add(Object::Sequence(elements))?;
                    self.give(top, given);
                }
            }
            _ => return Err(damaged()),
        }
        Ok(())
    }

    /// Sets entries of the map on top of the stack.
    fn set(&mut self, entries: Vec<(Value<'a>, Value<'a>)>) -> Result<(), String> {
        let top = self.top()?;
        match self.object(top) {
            Some(Object::Map(all)) => all.extend(entries),
            Some(Object::Made(made)) => {
                let last = made.given.last().copied().unwrap_or(Value::None);
                if let Some(Object::Map(all)) = self.object(last) {
                    all.extend(entries);
                } else {
                    let given = self.add(Object::Map(entries))?;
                    self.give(top, given);
                }
            }
            _ => return Err(damaged()),
        }
        Ok(())
    }

    fn give(&mut self, object: Value<'a>, given: Value<'a>) {
        if let Some(Object::Made(made)) = self.object(object) {
            made.given.push(given);
        }
    }

    fn remember(&mut self, key: u64) -> Result<(), String> {
        if self.memo.len() >= self.most {
            return Err(too_much());
        }
        let top = self.top()?;
        self.memo.insert(key, top);
        Ok(())
    }

    fn recall(&mut self, key: u64) -> Result<(), String> {
        let value = *self.memo.get(&key).ok_or_else(damaged)?;
        self.push(value)
    }
}

fn damaged() -> String {
    "it is damaged".to_owned()
}

fn too_much() -> String {
    "it holds too many values".to_owned()
}

/// An integer in decimal.
fn decimal(line: &[u8]) -> Value<'_> {
    let number = std::str::from_utf8(line).ok().and_then(|line| line.trim().parse().ok());
    number.map_or(Value::Other, Value::Int)
}

/// A string without the quotes around it; what is escaped in it stays so.
fn unquoted(line: &[u8]) -> &[u8] {
    match line {
        [b'\'', inner @ .., b'\''] | [b'"', inner @ .., b'"'] => inner,
        _ => line,
    }
}

fn pairs(values: Vec<Value<'_>>) -> Result<Vec<(Value<'_>, Value<'_>)>, String> {
    match values.as_chunks() {
        (pairs, []) => Ok(pairs.iter().map(|[key, value]| (*key, *value)).collect()),
        _ => Err(damaged()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    /// The value as text, so that it can be compared.
    fn told(bytes: &[u8]) -> String {
        fn tell(pickle: &Pickle<'_>, value: Value<'_>) -> String {
            let list = |all: &[Value<'_>]| -> String {
                all.iter().map(|one| tell(pickle, *one)).collect::<Vec<_>>().join(" ")
            };
            match (pickle.object(value), value) {
                (Some(Object::Sequence(all)), _) => format!("[{}]", list(all)),
                (Some(Object::Map(all)), _) => {
                    let all = all.iter().map(|(key, value)| list(&[*key, *value])).collect::<Vec<_>>();
                    format!("{{{}}}", all.join(", "))
                }
                (Some(Object::Global(module, name)), _) => format!("{module}.{name}"),
                (Some(Object::Made(made)), _) => {
                    let given = list(&made.given);
                    format!("{}({}){given}", tell(pickle, made.by), tell(pickle, made.arguments))
                }
                (Some(Object::Persistent(id)), _) => format!("<{}>", tell(pickle, *id)),
                (None, Value::Text(text)) => String::from_utf8_lossy(text).into_owned(),
                (None, Value::Int(int)) => int.to_string(),
                (None, Value::Bool(bool)) => bool.to_string(),
                (None, value) => format!("{value:?}"),
            }
        }
        match Pickle::read(bytes) {
            Ok(pickle) => tell(&pickle, pickle.top),
            Err(error) => error,
        }
    }

    #[test]
    fn values_are_read_in_each_protocol() {
        // `{"a": [1, -2, 300, 70000, True, None], "b": (1.5, 2**40)}`.
        let read = "{a [1 -2 300 70000 true None], b [Other 1099511627776]}";
        let protocol_0 = b"(dVa\n(lI1\naI-2\naI300\naI70000\naI01\naNasVb\n(F1.5\nL1099511627776L\ntp4\ns.";
        let protocol_2 =
            b"\x80\x02}(X\x01\0\0\0a](K\x01J\xfe\xff\xff\xffM\x2c\x01J\x70\x11\x01\0\x88NeX\x01\0\0\0b\
            G\x3f\xf8\0\0\0\0\0\0\x8a\x06\0\0\0\0\0\x01\x86u.";
        let protocol_4 =
            b"\x80\x04\x95\x3a\0\0\0\0\0\0\0}\x94(\x8c\x01a\x94]\x94(K\x01J\xfe\xff\xff\xffM\x2c\x01\
            J\x70\x11\x01\0\x88Ne\x8c\x01b\x94G\x3f\xf8\0\0\0\0\0\0\x8a\x06\0\0\0\0\0\x01\x86\x94u.";
        for pickle in [&protocol_0[..], protocol_2, protocol_4] {
            assert_eq!(told(pickle), read);
        }
    }

    #[test]
    fn a_call_is_noted_and_not_done() {
        assert_eq!(told(b"cos\nsystem\n(Vecho oh\ntR."), "os.system([echo oh])");
        assert_eq!(told(b"(Vecho oh\nios\nsystem\n."), "os.system([echo oh])");
        assert_eq!(told(b"(cos\nsystem\nVecho oh\no."), "os.system([echo oh])");
        assert_eq!(told(b"\x8c\x02os\x8c\x06system\x93\x8c\x02oh\x85R."), "os.system([oh])");
        assert_eq!(told(b"cos\nsystem\n)R(Vx\nI1\ndb."), "os.system([]){x 1}");
        assert_eq!(told(b"cbuiltins\neval\n)\x81Vk\nK\x01sVl\nK\x02s."), "builtins.eval([]){k 1, l 2}");
    }

    #[test]
    fn what_was_remembered_is_recalled() {
        assert_eq!(told(b"Va\np0\nr\x01\0\0\0\x94g0\nj\x01\0\0\0h\x02\x87."), "[a a a]");
        assert_eq!(told(b"h\x07."), "it is damaged at byte 2 of the pickle");
    }

    #[test]
    fn a_list_may_hold_itself() {
        let pickle = Pickle::read(b"]q\0h\0a.").unwrap();
        assert_eq!(pickle.sequence(pickle.top), Some(&[pickle.top][..]));
    }

    #[test]
    fn damaged_pickles_are_errors() {
        for bytes in
            [&b""[..], b".", b"0", b"1", b"t.", b"(.", b"K", b"(K\x01d.", b"K\x01K\x02a.", b"N(R", b"\xff"]
        {
            assert!(Pickle::read(bytes).is_err(), "{bytes:?}");
        }
        for bytes in
            [&b"X\xff\xff\xff\xffa"[..], b"\x8d\xff\xff\xff\xff\xff\xff\xff\xffa", b"\x8b\xff\xff\xff\xff"]
        {
            let error = Pickle::read(bytes).unwrap_err();
            assert!(error.starts_with("the file is cut short"), "{error}");
        }
    }

    #[test]
    fn memory_is_bounded() {
        for byte in [b'N', b'(', b']', b'}'] {
            let error = Pickle::read_at_most(&[byte; 101], 100).unwrap_err();
            assert!(error.starts_with("it holds too many values"), "{error}");
        }
        let mut bytes = vec![b'N'];
        bytes.resize(102, 0x94);
        assert!(Pickle::read_at_most(&bytes, 100).unwrap_err().starts_with("it holds too many values"));
    }

    /// Operations, so that chance reaches beyond the first byte.
    fn operation() -> impl Strategy<Value = Vec<u8>> {
        let all = b"(012N\x88)]\x8f}tld\x85\x86\x87aesu\x91\x90R\x81\x92obQ\x93\x94".map(|byte| vec![byte]);
        let more =
            [&b"K\x01"[..], b"Va\n", b"q\0", b"h\0", b"cos\nsystem\n", b"ios\nx\n", b"\x80\x02", b"Px\n"];
        let all: Vec<Vec<u8>> = all.into_iter().chain(more.map(<[u8]>::to_vec)).collect();
        prop_oneof![8 => proptest::sample::select(all), 1 => vec(any::<u8>(), 0..6)]
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn no_bytes_make_it_panic(operations in vec(operation(), 0..60)) {
            let mut bytes = operations.concat();
            let _ = Pickle::read(&bytes);
            bytes.push(b'.');
            let _ = Pickle::read(&bytes);
        }
    }
}
