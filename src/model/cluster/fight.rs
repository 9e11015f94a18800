//! Another program that keeps editing a file which eksd keeps putting back: somebody must give way,
//! and a file that changes for ever helps nobody.

use std::{collections::VecDeque, time::Duration};

use jiff::Timestamp;

use crate::model::session::span;

/// So many times a minute a file is put back.
pub const MOST_PUT_BACK: usize = 5;

/// A fight is what happens within this time.
const ROUND: Duration = Duration::from_mins(1);

/// Whether to put a file back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Put it back.
    PutBack,
    /// Leave it until the next comparison, and say so.
    GiveWay,
    /// As that was said already.
    Rest,
}

/// How often one file was put back lately.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fight {
    put_back_at: VecDeque<Timestamp>,
    gave_way: bool,
}

impl Fight {
    /// Decides about a file that somebody edited.
    pub fn judge(&mut self, now: Timestamp) -> Verdict {
        if self.gave_way {
            return Verdict::Rest;
        }
        self.put_back_at.retain(|at| span(*at, now) < ROUND);
        if MOST_PUT_BACK <= self.put_back_at.len() {
            self.gave_way = true;
            return Verdict::GiveWay;
        }
        self.put_back_at.push_back(now);
        Verdict::PutBack
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    #[test]
    fn five_times_a_minute_and_then_no_more() {
        use Verdict::{GiveWay, PutBack, Rest};
        let mut fight = Fight::default();
        let verdicts: Vec<Verdict> = (0..8).map(|second| fight.judge(at(second))).collect();
        assert_eq!(verdicts, [PutBack, PutBack, PutBack, PutBack, PutBack, GiveWay, Rest, Rest]);
        assert_eq!(fight.judge(at(3600)), Rest, "the next comparison begins anew, not time");
    }

    #[test]
    fn somebody_who_edits_now_and_then_is_no_fight() {
        let mut fight = Fight::default();
        for edit in 0..50 {
            assert_eq!(fight.judge(at(edit * 13)), Verdict::PutBack);
        }
    }
}
