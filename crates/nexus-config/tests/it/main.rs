//! Configuration as its users meet it: directories of files, variables and flags in; a company or errors out.

#[cfg(test)]
mod dir;
#[cfg(test)]
mod errors;
#[cfg(test)]
mod layers;
#[cfg(test)]
mod reference;
#[cfg(test)]
mod reload;
#[cfg(test)]
mod shipped;
