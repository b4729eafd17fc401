//! Names of the cast.

use crate::cast::Role;
use crate::story::Story;

/// Gives a tenant the name that its part asks for.
pub(crate) fn dress(story: &mut Story, role: Role) {
    let named = match role {
        Role::LockedOut => Some("Acme GmbH"),
        Role::Arabic => Some("شركة النخيل للتجارة"),
        Role::Hebrew => Some("גשר 24 בע\"מ (Gesher)"),
        Role::Chinese => Some("青山数据科技有限公司"),
        Role::Japanese => Some("株式会社さくら文庫ラボ"),
        Role::Korean => Some("한빛 소프트웨어 주식회사"),
        Role::Hindi => Some("नीलगिरि शिक्षा प्राइवेट लिमिटेड"),
        Role::Thai => Some("บริษัท ดอกบัว จำกัด"),
        Role::Greek => Some("Ελιά Λογιστική Α.Ε."),
        Role::Cyrillic => Some("ООО «Берёзовая Роща»"),
        Role::Emoji => Some("🚀 Rocket Bakery 👩\u{200d}🍳🇪🇺"),
        Role::Combining => Some("Cafe\u{301} Zu\u{308}rich A\u{30a}ngstro\u{308}m"),
        Role::Markup => Some("<script>alert('paywall')</script> & Sons <b>Ltd</b>"),
        Role::Quotes => Some("O'Neil \"Books\", C:\\Files; DROP TABLE tenants;--"),
        Role::Spaces => Some("  Blank   Space\u{a0}Studio "),
        _ => None,
    };
    if let Some(name) = named {
        name.clone_into(&mut story.name);
    }
    if role == Role::LockedOut {
        "acme.example".clone_into(&mut story.domain);
        "jane@acme.example".clone_into(&mut story.email);
        "Jane Doe".clone_into(&mut story.owner);
    } else {
        story.domain = format!("{}.example", role.name().replace('_', "-"));
        story.email = format!("owner@{}", story.domain);
    }
    if role == Role::VeryLongName {
        "The International Society for the Careful Reading, Cataloguing, Indexing, Summarising and Lending of \
                      Long Documents, Very Long Documents and Documents Whose Names Are Longer Than the Documents Themselves, \
                      Northern Branch, Reading Room Four"
            .clone_into(&mut story.name);
    }
}
