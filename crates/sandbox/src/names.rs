//! Names of fictional businesses and people, put together from lists of plain words.

use crate::draw::Draw;

const FIRST: [&str; 64] = [
    "Amber", "Anchor", "Arbor", "Atlas", "Aurora", "Beacon", "Birch", "Bluefin", "Bramble", "Bridge", "Canyon",
    "Cedar", "Cinder", "Clover", "Cobalt", "Compass", "Copper", "Coral", "Crescent", "Delta", "Ember", "Fable",
    "Falcon", "Fern", "Flint", "Foxglove", "Garnet", "Granite", "Harbor", "Hazel", "Heron", "Horizon", "Indigo",
    "Ivory", "Juniper", "Kestrel", "Lantern", "Larch", "Lumen", "Maple", "Marble", "Meridian", "Mosaic", "Nimbus",
    "Oak", "Onyx", "Orchard", "Osprey", "Pebble", "Pine", "Quartz", "Raven", "Reef", "Saffron", "Sage", "Sequoia",
    "Sierra", "Slate", "Sparrow", "Summit", "Thistle", "Timber", "Willow", "Zephyr",
];
const SECOND: [&str; 32] = [
    "Analytics",
    "Architects",
    "Bakery",
    "Biotech",
    "Books",
    "Brewing",
    "Cargo",
    "Clinic",
    "Consulting",
    "Dental",
    "Design",
    "Energy",
    "Engineering",
    "Events",
    "Farms",
    "Foods",
    "Health",
    "Insurance",
    "Labs",
    "Learning",
    "Legal",
    "Logistics",
    "Media",
    "Mobility",
    "Optics",
    "Outdoors",
    "Pharma",
    "Robotics",
    "Security",
    "Software",
    "Studios",
    "Travel",
];
const FORM: [&str; 8] = ["", "", "", " Ltd", " GmbH", " Inc", " BV", " Group"];

const GIVEN: [&str; 40] = [
    "Ada", "Amir", "Ana", "Ben", "Carla", "Chen", "Dana", "David", "Elif", "Emma", "Femi", "Finn", "Grace", "Hana",
    "Hugo", "Ines", "Ivan", "Jonas", "Julia", "Kai", "Karim", "Lea", "Leo", "Lina", "Mara", "Mateo", "Mei", "Nadia",
    "Nils", "Noor", "Olga", "Omar", "Paul", "Priya", "Rosa", "Sam", "Sofia", "Theo", "Yuki", "Zoe",
];
const FAMILY: [&str; 40] = [
    "Abel", "Adler", "Bauer", "Berg", "Brook", "Costa", "Dahl", "Diaz", "Eder", "Field", "Fischer", "Garcia", "Hall",
    "Hansen", "Ito", "Jansen", "Keller", "Khan", "Kim", "Kovac", "Lang", "Lopez", "Marsh", "Meyer", "Moreau", "Novak",
    "Okoye", "Olsen", "Park", "Patel", "Reed", "Rossi", "Sato", "Silva", "Stone", "Vogel", "Weber", "Wood", "Yilmaz",
    "Zhou",
];

/// A business: its display name and the domain of its addresses, which no other tenant has.
pub(crate) fn business(draw: &mut Draw, tenant: u32) -> (String, String) {
    let (first, second, form) = (*draw.pick(&FIRST), *draw.pick(&SECOND), *draw.pick(&FORM));
    let domain = format!("{}{}{}.example", first.to_ascii_lowercase(), second.to_ascii_lowercase(), tenant);
    (format!("{first} {second}{form}"), domain)
}

/// A person: the full name and the part of the address before the `@`.
pub(crate) fn person(draw: &mut Draw) -> (String, String) {
    let (given, family) = (*draw.pick(&GIVEN), *draw.pick(&FAMILY));
    (format!("{given} {family}"), format!("{}.{}", given.to_ascii_lowercase(), family.to_ascii_lowercase()))
}
