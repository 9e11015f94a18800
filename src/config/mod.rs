//! Reading: the environment, where files are, eksd's settings, the AWS files.
//!
//! Everything here is read once into a value and handed on; nothing is written, created or asked
//! over the network, and no other room looks at the environment.

mod ambient;
pub mod aws_files;
mod env;
mod paths;
mod settings;

pub use ambient::{add_ambient, ambient, is_own_endpoint};
pub use env::Env;
pub use paths::Paths;
pub use settings::{Delivery, LoginFlow, Settings, SettingsError, parse_duration};
