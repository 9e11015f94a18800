//! In which second to sign: the last token again, or one that differs from all before.

use std::{
    collections::{HashMap, VecDeque},
    hash::Hash,
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};

use super::{Asker, ProcessId, TokenKey, ask_again_at};
use crate::model::session::span;

/// A token is given again while it has this much left of what it declares. Giving the same one matters:
/// the API server remembers by a token's hash what the authenticator said of it (apiserver
/// `cached_token_authenticator.go`), and each new one costs it a call to STS. Less would have whoever gets
/// it ask again soon.
const WORTH_GIVING: Duration = Duration::from_mins(2);

/// Whoever asks again with more than this left of what it was given does not renew ahead: kube-rs, the
/// earliest known to do so, comes a minute before the end (kube-client `client/auth`).
const WELL_BEFORE: Duration = Duration::from_secs(90);

/// What is known of AWS's clock may change by this much between two questions and mean nothing.
const SAME_CLOCK: SignedDuration = SignedDuration::from_secs(5);

/// client-go runs the plugin for each request where the instant is past.
const SHORTEST: Duration = Duration::from_secs(1);

/// How many seconds are remembered for one key: as many tokens that differ can be made at once. STS
/// takes a request that is 15 minutes old.
const MOST_SECONDS: usize = 64;

/// Keys, and hand-outs, that are remembered. A person has some ten; beyond this the oldest are forgotten,
/// which costs a new token.
const MOST: usize = 256;

/// What time it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Time {
    /// By this machine's clock, to which the declared end belongs.
    pub here: Timestamp,
    /// By AWS's, as far as it is known: tokens are signed by it.
    pub at_aws: Timestamp,
}

impl Time {
    fn ahead(self) -> SignedDuration {
        self.here.duration_since(self.at_aws)
    }
}

/// Which token to make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Order {
    /// The second to sign for.
    pub sign_at: Timestamp,
    /// The end to declare, by this machine's clock.
    pub expires_at: Timestamp,
    /// Whether the asker was given one that should have lasted much longer: it was refused.
    pub is_early: bool,
    /// Whether this is the token that was made last.
    is_last: bool,
}

/// Which tokens were made, and who was given one.
#[derive(Debug, Default)]
pub struct Book {
    made: HashMap<TokenKey, Made>,
    given: HashMap<(ProcessId, TokenKey), Given>,
}

#[derive(Debug)]
struct Made {
    sign_at: Timestamp,
    expires_at: Timestamp,
    /// When that was, by both clocks.
    time: Time,
    /// The seconds that were signed for, the last one last.
    seconds: VecDeque<Timestamp>,
}

#[derive(Clone, Copy, Debug)]
struct Given {
    at: Timestamp,
    expires_at: Timestamp,
}

impl Given {
    fn is_fresh(self, now: Timestamp) -> bool {
        // A clock that was set back tells nothing.
        self.at <= now && WELL_BEFORE < span(now, self.expires_at)
    }
}

impl Made {
    fn is_worth_giving(&self, time: Time) -> bool {
        let is_same_clock = (time.ahead() - self.time.ahead()).abs() <= SAME_CLOCK;
        let left = span(time.here, self.expires_at);
        self.time.here <= time.here && is_same_clock && WORTH_GIVING <= left
    }
}

impl Book {
    /// Says which token to give to `asker`. Nothing is noted: making it may fail.
    pub fn order(
        &self,
        key: &TokenKey,
        asker: Option<&Asker>,
        credentials_end: Option<Timestamp>,
        time: Time,
    ) -> Order {
        let given = asker.and_then(|asker| self.given.get(&(asker.process, key.clone())));
        let is_early = given.is_some_and(|given| given.is_fresh(time.here));
        let made = self.made.get(key);
        if let Some(made) = made.filter(|made| !is_early && made.is_worth_giving(time)) {
            let Made { sign_at, expires_at, .. } = *made;
            return Order { sign_at, expires_at, is_early, is_last: true };
        }
        let second = |back: i64| Timestamp::from_second(time.at_aws.as_second() - back);
        // Tokens of the same second are the same.
        let is_new = |at: &Timestamp| made.is_none_or(|made| !made.seconds.contains(at));
        let mut seconds = (0..).map_while(|back| second(back).ok());
        let sign_at = seconds.find(is_new).unwrap_or(time.at_aws);
        // The token's life begins with its second; that of the credentials goes on from now.
        let end = ask_again_at(time.at_aws, credentials_end).min(ask_again_at(sign_at, None));
        let left = span(time.at_aws, end).max(SHORTEST);
        let expires_at = time.here.checked_add(left).unwrap_or(end);
        Order { sign_at, expires_at, is_early, is_last: false }
    }

    /// Notes that an order was carried out.
    pub fn note(&mut self, key: &TokenKey, asker: Option<&Asker>, order: &Order, time: Time) {
        let Order { sign_at, expires_at, is_last, .. } = *order;
        if !is_last {
            make_room(&mut self.made, key, |made| made.expires_at);
            let seconds = VecDeque::new();
            let made = Made { sign_at, expires_at, time, seconds };
            let made = self.made.entry(key.clone()).or_insert(made);
            (made.sign_at, made.expires_at, made.time) = (sign_at, expires_at, time);
            if MOST_SECONDS <= made.seconds.len() {
                made.seconds.pop_front();
            }
            made.seconds.push_back(sign_at);
        }
        if let Some(asker) = asker.filter(|asker| asker.keeps_tokens()) {
            let place = (asker.process, key.clone());
            make_room(&mut self.given, &place, |given| given.expires_at);
            self.given.insert(place, Given { at: time.here, expires_at });
        }
    }

    /// Forgets what is over: tokens that have ended, and whoever was given one.
    pub fn age(&mut self, now: Timestamp) {
        self.made.retain(|_, made| now < made.expires_at);
        self.given.retain(|_, given| now < given.expires_at);
    }

    /// Returns whether nothing is remembered.
    pub fn is_empty(&self) -> bool {
        self.made.is_empty() && self.given.is_empty()
    }
}

/// Forgets what ends first where one more would be too many.
fn make_room<K: Eq + Hash + Clone, V>(
    known: &mut HashMap<K, V>,
    more: &K,
    ends: impl Fn(&V) -> Timestamp,
) {
    if known.len() < MOST || known.contains_key(more) {
        return;
    }
    let first = known.iter().min_by_key(|(_, value)| ends(value)).map(|(key, _)| key.clone());
    if let Some(first) = first {
        known.remove(&first);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + seconds).unwrap()
    }

    fn time(seconds: i64) -> Time {
        Time { here: at(seconds), at_aws: at(seconds) }
    }

    fn key(access_key_id: &str) -> TokenKey {
        TokenKey {
            cluster_id: "demo".to_owned(),
            sts: "https://sts.eu-west-1.amazonaws.com".to_owned(),
            region: "eu-west-1".to_owned(),
            access_key_id: access_key_id.to_owned(),
        }
    }

    fn asker(pid: i32, began: u64, name: &str) -> Asker {
        Asker { process: ProcessId { pid, began }, name: name.to_owned() }
    }

    impl Book {
        fn ask(&mut self, key: &TokenKey, asker: Option<&Asker>, time: Time) -> Order {
            let order = self.order(key, asker, None, time);
            self.note(key, asker, &order, time);
            order
        }
    }

    #[test]
    fn the_last_token_is_given_while_two_minutes_are_left() {
        for (later, is_again) in
            [(0, true), (60, true), (720, true), (721, false), (840, false), (900, false)]
        {
            let mut book = Book::default();
            let first = book.ask(&key("A"), None, time(0));
            assert_eq!((first.sign_at, first.expires_at), (at(0), at(840)));
            let next = book.ask(&key("A"), None, time(later));
            assert_eq!(next.sign_at == first.sign_at, is_again, "{later}");
            let expected = if is_again { at(840) } else { at(later + 840) };
            assert_eq!(next.expires_at, expected, "the end that is declared is the token's own");
            assert!(!next.is_early);
        }
    }

    #[test]
    fn other_credentials_make_another_token() {
        let mut book = Book::default();
        book.ask(&key("A"), None, time(0));
        for other in [
            key("B"),
            TokenKey { cluster_id: "prod".into(), ..key("A") },
            TokenKey { sts: "https://sts-fips.eu-west-1.amazonaws.com".into(), ..key("A") },
            TokenKey { region: "eu-west-2".into(), ..key("A") },
        ] {
            assert_eq!(book.ask(&other, None, time(30)).sign_at, at(30), "{other:?}");
        }
    }

    #[test]
    fn a_clock_that_changed_makes_a_new_token() {
        for (later, is_again) in [
            // AWS's clock turned out to be a minute away.
            (Time { here: at(60), at_aws: at(0) }, false),
            (Time { here: at(60), at_aws: at(120) }, false),
            (Time { here: at(60), at_aws: at(57) }, true),
            // This machine's was set back.
            (Time { here: at(-60), at_aws: at(-60) }, false),
        ] {
            let mut book = Book::default();
            book.ask(&key("A"), None, time(0));
            let next = book.ask(&key("A"), None, later);
            assert_eq!(next.sign_at == at(0) && next.expires_at == at(840), is_again, "{later:?}");
        }
    }

    #[test]
    fn signed_by_the_clock_of_aws_and_declared_by_that_of_this_machine() {
        let time = Time { here: at(600), at_aws: at(0) };
        let order = Book::default().order(&key("A"), None, Some(at(300)), time);
        assert_eq!((order.sign_at, order.expires_at), (at(0), at(600 + 240)));
    }

    #[test]
    fn asking_early_is_told_by_who_asks_for_what() {
        let kubectl = asker(7, 100, "kubectl");
        for (who, what, later, is_early) in [
            (&kubectl, key("A"), 0, true),
            (&kubectl, key("A"), 749, true),
            // Some clients renew ahead.
            (&kubectl, key("A"), 750, false),
            (&kubectl, key("A"), -1, false),
            (&kubectl, key("B"), 1, false),
            (&asker(7, 101, "kubectl"), key("A"), 1, false),
            (&asker(8, 100, "kubectl"), key("A"), 1, false),
        ] {
            let mut book = Book::default();
            let first = book.ask(&key("A"), Some(&kubectl), time(0));
            let next = book.ask(&what, Some(who), time(later));
            assert_eq!(next.is_early, is_early, "{who:?} {what:?} {later}");
            if is_early {
                assert_ne!(next.sign_at, first.sign_at, "never the same token");
            }
        }
    }

    #[test]
    fn whoever_is_not_known_or_keeps_nothing_is_never_early() {
        for who in [None, Some(asker(7, 1, "bash")), Some(asker(7, 1, "python3"))] {
            let mut book = Book::default();
            let first = book.ask(&key("A"), who.as_ref(), time(0));
            let next = book.ask(&key("A"), who.as_ref(), time(1));
            assert_eq!((next.is_early, next.sign_at), (false, first.sign_at), "{who:?}");
        }
    }

    #[test]
    fn who_asks_often_is_given_what_is_left_of_the_keys() {
        let (mut book, kubectl) = (Book::default(), asker(7, 100, "kubectl"));
        for _ in 0..20 {
            let order = book.order(&key("A"), Some(&kubectl), Some(at(8)), time(0));
            book.note(&key("A"), Some(&kubectl), &order, time(0));
            assert_eq!(order.expires_at, at(4), "half of it, whatever second is signed for");
        }
    }

    #[test]
    fn tokens_made_in_the_same_second_differ() {
        let (mut book, kubectl) = (Book::default(), asker(7, 100, "kubectl"));
        let mut seen = Vec::new();
        for _ in 0..MOST_SECONDS {
            let order = book.ask(&key("A"), Some(&kubectl), time(0));
            assert!(!seen.contains(&order.sign_at));
            let back = at(0).duration_since(order.sign_at);
            assert!(back < SignedDuration::from_secs(64), "far inside of what STS takes: {back}");
            assert_eq!(order.expires_at, order.sign_at + Duration::from_mins(14));
            seen.push(order.sign_at);
        }
        let another = book.ask(&key("A"), Some(&asker(8, 1, "k9s")), time(0));
        assert_eq!(Some(&another.sign_at), seen.last(), "others get the last one");
        for _ in 0..3 * MOST_SECONDS {
            let last = book.made[&key("A")].sign_at;
            let order = book.ask(&key("A"), Some(&kubectl), time(0));
            assert_ne!(order.sign_at, last);
            assert!(book.made[&key("A")].seconds.len() <= MOST_SECONDS);
        }
    }

    #[test]
    fn no_instant_in_the_past_is_declared() {
        for left in [-5, 0, 1, 2, 5] {
            let order = Book::default().order(&key("A"), None, Some(at(left)), time(0));
            assert!(at(1) <= order.expires_at, "{left}: {order:?}");
        }
    }

    #[test]
    fn little_is_kept_and_not_for_long() {
        let mut book = Book::default();
        for n in 0..2 * MOST {
            let n = i32::try_from(n).unwrap();
            let kubectl = asker(n, 1, "kubectl");
            book.ask(&key(&n.to_string()), Some(&kubectl), time(n.into()));
        }
        assert_eq!((book.made.len(), book.given.len()), (MOST, MOST));
        let last = i64::try_from(2 * MOST).unwrap() - 1;
        book.age(at(last + 839));
        assert_eq!((book.made.len(), book.given.len()), (1, 1), "the oldest go first");
        book.age(at(last + 840));
        assert!(book.is_empty());
    }
}
