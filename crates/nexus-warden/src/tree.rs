//! One tree.
