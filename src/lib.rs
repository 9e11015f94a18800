//! eksd
