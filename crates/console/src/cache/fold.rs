//! How texts are folded for sorting and finding: the same for what is stored and what is typed.

use paywall_contract::Tenant;

/// A text as it is compared: lower case by Unicode's rules, spaces at its ends taken off, line ends and
/// other control characters turned into spaces.
pub fn fold(text: &str) -> String {
    text.trim().chars().flat_map(char::to_lowercase).map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// What a tenant is found by, a line each: name, address, domain, id, customer (may be empty), then the
/// members' addresses. What is typed has no line end, so no hit spans two lines.
pub(super) fn tenant_lines(tenant: &Tenant) -> String {
    let mut lines = [
        fold(&tenant.name),
        fold(&tenant.email),
        fold(&tenant.domain),
        tenant.id.as_str().to_owned(),
        tenant.stripe_customer.as_deref().map(fold).unwrap_or_default(),
    ]
    .join("\n");
    for member in &tenant.members {
        let address = fold(&member.email);
        if address != fold(&tenant.email) {
            lines.push('\n');
            lines.push_str(&address);
        }
    }
    lines
}
