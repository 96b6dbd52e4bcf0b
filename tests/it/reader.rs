//! Reading a run entry by entry: every hash checked, damage reported in its place.

mod astray;
mod collisions;
mod cut_short;
mod damage;
mod live;
mod lookup;
mod point_read;
mod replay;
mod scanning;
