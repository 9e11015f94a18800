//! Reading: the environment, where files are, eksd's settings, the AWS files.
//!
//! Everything here is read once into a value and handed on; nothing is written, created or asked
//! over the network, and no other room looks at the environment.

mod env;
mod paths;

pub use env::Env;
pub use paths::Paths;
