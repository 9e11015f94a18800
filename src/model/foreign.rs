//! Kubeconfig files that belong to the person: `~/.kube/config` and what `KUBECONFIG` names.
//!
//! They are edited as text, so that comments, order and unknown fields stay, and each edit is proven: the
//! new text is read again, and nothing but what was meant may differ ([`edit`]).

pub mod adoption;
pub mod edit;
pub mod entries;
pub mod lint;
pub mod merge;
pub mod plugin;
pub mod proof;
pub mod secrets;
pub mod tree;
pub mod write;
