//! Holds no code: its tests keep the workspace in the shape that `docs/architecture.md` describes.
