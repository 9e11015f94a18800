//! The prompt line: what a shell needs to draw the segment by itself, for as long as nothing
//! changes.
//!
//! ```text
//! eksd1|PHASE|EXPIRING_AT|GOOD_UNTIL|TRUST_UNTIL|CONFIDENCE|LABEL
//! ```
//!
//! Instants are seconds since 1970, `0` where not known. The shell subtracts: from `EXPIRING_AT` on
//! the segment warns, from `GOOD_UNTIL` on a person is needed, from `TRUST_UNTIL` on the line says
//! nothing any more (whoever should have replaced it did not) and the segment shows `?`. `LABEL`
//! comes last and may hold anything but control characters; shells must not expand it.

use jiff::Timestamp;

use super::text::printable;

/// First field of every prompt line; a shell that knows another number shows nothing.
pub const FORMAT: &str = "eksd1";

/// What a segment shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PromptLine {
    /// Phase as in `status`.
    pub phase: &'static str,
    /// When `good_until` comes inside the first notice threshold.
    pub expiring_at: Option<Timestamp>,
    /// When a person will be needed.
    pub good_until: Option<Timestamp>,
    /// Until when this line may be believed.
    pub trust_until: Option<Timestamp>,
    /// `exact`, `estimated` or `unknown`.
    pub confidence: &'static str,
    /// Profile, or cluster alias.
    pub label: String,
}

impl PromptLine {
    /// Returns the line, without a final newline.
    pub fn to_text(&self) -> String {
        let seconds = |at: Option<Timestamp>| at.map_or(0, Timestamp::as_second);
        format!(
            "{FORMAT}|{}|{}|{}|{}|{}|{}",
            self.phase,
            seconds(self.expiring_at),
            seconds(self.good_until),
            seconds(self.trust_until),
            self.confidence,
            printable(&self.label),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line() {
        let line = PromptLine {
            phase: "fresh",
            expiring_at: Some(Timestamp::from_second(100).unwrap()),
            good_until: Some(Timestamp::from_second(1900).unwrap()),
            trust_until: None,
            confidence: "exact",
            label: "a|b\u{1b}$(x)".into(),
        };
        assert_eq!(line.to_text(), "eksd1|fresh|100|1900|0|exact|a|b?$(x)");
    }
}
