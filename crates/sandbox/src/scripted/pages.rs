//! The pages that people are sent to: Checkout, the portal, an invoice. They work without scripts.

use std::fmt::Write;

use serde_json::Value;

use super::cards::Card;
use super::portal::PortalAct;
use super::state::{Fields, State};
use crate::ids::Kind;

/// Escapes a text for HTML, in an attribute too.
pub(crate) fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            other => safe.push(other),
        }
    }
    safe
}

/// An amount in the currency's own units, such as `79.00 USD`.
fn money(amount: i64, currency: &str) -> String {
    let decimals = match currency {
        "bif" | "clp" | "djf" | "gnf" | "jpy" | "kmf" | "krw" | "mga" | "pyg" | "rwf" | "vnd" | "vuv" | "xaf"
        | "xof" | "xpf" => 0,
        "bhd" | "jod" | "kwd" | "omr" | "tnd" => 3,
        _ => 2,
    };
    let unit = 10_i64.pow(decimals);
    let sign = if amount < 0 { "-" } else { "" };
    let (whole, part) = (amount.abs() / unit, amount.abs() % unit);
    let code = currency.to_ascii_uppercase();
    if decimals == 0 {
        format!("{sign}{whole} {code}")
    } else {
        format!("{sign}{whole}.{part:0width$} {code}", width = decimals as usize)
    }
}

fn page(title: &str, notice: Option<&str>, body: &str) -> String {
    let notice = notice.map_or(String::new(), |it| format!("<p role=\"alert\" id=\"notice\">{}</p>", escape(it)));
    format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <title>{title}</title><style>body{{font:16px/1.5 sans-serif;max-width:36rem;margin:3rem auto;padding:0 1rem}}\
         form{{margin:.5rem 0}}[role=alert]{{color:#a00}}</style></head><body><h1>{title}</h1>{notice}{body}\
         <p><small>A scripted test double: nothing here is Stripe's, and no money moves.</small></p></body></html>"
    )
}

/// The card numbers that a page offers.
fn numbers() -> String {
    let options = Card::ALL.map(|card| format!("<option value=\"{}\">{card:?}</option>", card.number()));
    format!("<datalist id=\"numbers\">{}</datalist>", options.concat())
}

const NUMBER: &str = "<label>Card number or IBAN <input id=\"number\" name=\"number\" list=\"numbers\" value=\"4242 4242 4242 4242\" autocomplete=\"off\"></label>";

impl State {
    pub(crate) fn checkout_page(&self, id: &str, notice: Option<&str>) -> Option<String> {
        let session = self.get(Kind::CheckoutSession, id)?;
        if !session.is("status", "open") {
            let message = match session.text("status") {
                "complete" => "You're all done here. You've already completed your payment.",
                _ => "This checkout session has timed out. Please return to the seller's page and try again.",
            };
            return Some(page("Checkout", Some(message), ""));
        }
        let mut body = String::from("<ul id=\"items\">");
        let full: Vec<Value> = self.line_items(id).unwrap_or_default();
        for item in &full {
            let price = &item["price"];
            let each = money(price.int("unit_amount"), price.text("currency"));
            let _ = write!(
                body,
                "<li>{} × {}: <b>{each}</b> per {}</li>",
                item.int("quantity"),
                escape(item.text("description")),
                escape(price.text("recurring/interval"))
            );
        }
        let total = money(session.int("amount_total"), session.text("currency"));
        let _ = write!(
            body,
            "</ul><p>Due today: <b id=\"total\">{total}</b></p><form method=\"post\">{}{NUMBER}",
            numbers()
        );
        if session["customer"].is_null() {
            let email = escape(session.text("customer_email"));
            let _ = write!(body, "<br><label>Email <input name=\"email\" type=\"email\" value=\"{email}\"></label>");
        }
        if session.flag("automatic_tax/enabled") {
            body.push_str("<br><label>Country <input name=\"country\" value=\"DE\" maxlength=\"2\"></label>");
        }
        if session.flag("allow_promotion_codes") {
            body.push_str("<br><label>Promotion code <input name=\"code\"></label>");
        }
        body.push_str("<br><button id=\"pay\" name=\"do\" value=\"pay\">Pay</button> ");
        body.push_str(
            "<button id=\"decline\" name=\"do\" value=\"decline\">Pay with a card that is declined</button></form>",
        );
        if let Some(url) = session.maybe("cancel_url") {
            let _ = write!(body, "<p><a id=\"cancel\" href=\"{}\">Back</a></p>", escape(&url));
        }
        Some(page("Checkout", notice, &body))
    }

    pub(crate) fn portal_page(&self, secret: &str, notice: Option<&str>) -> Option<String> {
        let session = self.portal(secret)?;
        let customer = session.text("customer");
        let mut body = String::new();
        let button = |act: &str, field: &str, id: &str, label: &str| {
            format!(
                "<form method=\"post\"><input type=\"hidden\" name=\"{field}\" value=\"{}\">\
                 <button name=\"do\" value=\"{act}\" data-act=\"{act}\">{label}</button></form>",
                escape(id)
            )
        };
        for subscription in self.running(customer) {
            let (id, item) = (subscription.id(), &subscription["items"]["data"][0]);
            let product = self.known(Kind::Product, item.text("price/product"));
            let _ = write!(
                body,
                "<section><h2>{} — {}</h2><p>{} per {}</p>",
                escape(product.text("name")),
                escape(subscription.text("status")),
                money(item.int("price/unit_amount") * item.int("quantity"), subscription.text("currency")),
                escape(item.text("price/recurring/interval"))
            );
            if subscription["cancel_at"].is_null() {
                body.push_str(&button("cancel", "subscription", &id, "Cancel at the end of the period"));
            } else {
                body.push_str(&button("keep", "subscription", &id, "Don't cancel"));
            }
            body.push_str(&button("cancel_now", "subscription", &id, "Cancel at once"));
            let fits = |it: &&Value| {
                it.flag("active")
                    && it.is("currency", subscription.text("currency"))
                    && !it["recurring"].is_null()
                    && it["id"] != item["price"]["id"]
            };
            let mut options = String::new();
            for price in self.table(Kind::Price).filter(fits) {
                let product = self.known(Kind::Product, price.text("product"));
                let _ = write!(
                    options,
                    "<option value=\"{}\">{}, {} per {}</option>",
                    escape(price.text("id")),
                    escape(product.text("name")),
                    money(price.int("unit_amount"), price.text("currency")),
                    escape(price.text("recurring/interval"))
                );
            }
            if !options.is_empty() {
                let _ = write!(
                    body,
                    "<form method=\"post\"><input type=\"hidden\" name=\"subscription\" value=\"{}\"><select name=\"price\">{options}</select> \
                     <button name=\"do\" value=\"switch\" data-act=\"switch\">Switch</button></form>",
                    escape(&id)
                );
            }
            body.push_str("</section>");
        }
        for invoice in self.table(Kind::Invoice).filter(|it| it.is("customer", customer) && it.is("status", "open")) {
            let label = format!(
                "Pay invoice {}: {}",
                escape(invoice.text("number")),
                money(invoice.int("amount_remaining"), invoice.text("currency"))
            );
            body.push_str(&button("pay", "invoice", invoice.text("id"), &label));
        }
        let _ = write!(
            body,
            "<form method=\"post\">{}{NUMBER} <button name=\"do\" value=\"card\" data-act=\"card\">Use this card from now on</button></form>",
            numbers()
        );
        if let Some(url) = session.maybe("return_url") {
            let _ = write!(body, "<p><a id=\"return\" href=\"{}\">Return</a></p>", escape(&url));
        }
        Some(page("Billing", notice, &body))
    }

    pub(crate) fn invoice_page(&self, id: &str, notice: Option<&str>) -> Option<String> {
        let invoice = self.get(Kind::Invoice, id).filter(|it| !it.is("status", "draft"))?;
        let amount = money(invoice.int("amount_due"), invoice.text("currency"));
        let mut body = format!(
            "<p>{} — {amount} — <b id=\"status\">{}</b></p>",
            escape(invoice.text("number")),
            escape(invoice.text("status"))
        );
        if invoice.is("status", "open") {
            let _ = write!(body, "<form method=\"post\">{}{NUMBER} <button id=\"pay\">Pay</button></form>", numbers());
        }
        Some(page("Invoice", notice, &body))
    }
}

/// What a form of the portal asks for.
pub(crate) fn portal_act(fields: &[(String, String)]) -> Result<PortalAct, String> {
    let field = |name: &str| fields.iter().find(|it| it.0 == name).map(|it| it.1.clone()).unwrap_or_default();
    let subscription = field("subscription");
    match field("do").as_str() {
        "cancel" => Ok(PortalAct::CancelAtPeriodEnd { subscription }),
        "keep" => Ok(PortalAct::Keep { subscription }),
        "cancel_now" => Ok(PortalAct::CancelNow { subscription }),
        "switch" => Ok(PortalAct::Switch { subscription, price: field("price") }),
        "pay" => Ok(PortalAct::Pay { invoice: field("invoice") }),
        "card" => {
            let card = Card::of_number(&field("number")).ok_or("Your card number is invalid.")?;
            Ok(PortalAct::UpdateCard(card))
        }
        _ => Err("Nothing was chosen.".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_have_their_currencys_decimals_and_texts_no_markup() {
        assert_eq!(
            [money(7900, "usd"), money(-5, "eur"), money(1200, "jpy"), money(24_500, "kwd")],
            ["79.00 USD", "-0.05 EUR", "1200 JPY", "24.500 KWD"]
        );
        assert_eq!(escape("<a href='x'>&\""), "&lt;a href=&#39;x&#39;&gt;&amp;&quot;");
    }
}
