//! Keeps what others wrote from steering the terminal.

use std::borrow::Cow;

/// The text with every character written out that a terminal would act upon: control characters,
/// and the invisible ones that reorder or hide text (<https://trojansource.codes>).
pub(crate) fn escape(text: &str) -> Cow<'_, str> {
    if !text.contains(is_unsafe) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 8);
    for character in text.chars() {
        if is_unsafe(character) {
            escaped.extend(character.escape_default());
        } else {
            escaped.push(character);
        }
    }
    Cow::Owned(escaped)
}

/// Whether the character must not reach a terminal as it is.
pub(crate) fn is_unsafe(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e007f}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_acts_upon_is_written_out() {
        assert_eq!(escape("\u{1b}[31mred\u{7}"), r"\u{1b}[31mred\u{7}");
        assert_eq!(escape("a\nb\tc\r"), r"a\nb\tc\r");
        assert_eq!(escape("\u{9b}2J"), r"\u{9b}2J");
        assert_eq!(escape("user\u{202e}gpj.exe"), r"user\u{202e}gpj.exe");
    }

    #[test]
    fn letters_of_any_script_stay() {
        assert_eq!(escape("Blutbild_ä_画像.xml"), "Blutbild_ä_画像.xml");
    }
}
