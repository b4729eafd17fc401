//! Products, prices and coupons.

use serde_json::{Value, json};

use super::form::Form;
use super::state::{Fields, State};
use crate::ids::Kind;
use crate::wire::Failure;

impl State {
    pub(crate) fn create_product(&mut self, mut form: Form) -> Result<Value, Failure> {
        let name = form.required("name")?;
        let id = match form.text("id")? {
            Some(id) if !id.is_empty() => id,
            _ => self.new_id(Kind::Product),
        };
        if self.get(Kind::Product, &id).is_some() {
            let message = format!("Product already exists: {id}");
            return Err(Failure::invalid(message, Some("id"), Some("resource_already_exists")));
        }
        let product = json!({
            "id": id, "object": "product", "active": form.boolean("active")?.unwrap_or(true), "created": self.now, "default_price": null,
            "description": form.text("description")?, "images": [], "livemode": false, "marketing_features": [],
            "metadata": form.metadata(&json!({}))?, "name": name, "package_dimensions": null, "shippable": null,
            "statement_descriptor": null, "tax_code": form.text("tax_code")?, "type": "service", "unit_label": form.text("unit_label")?,
            "updated": self.now, "url": null,
        });
        form.done()?;
        self.insert(Kind::Product, product, Some("product.created"));
        Ok(self.known(Kind::Product, &id))
    }

    pub(crate) fn update_product(&mut self, id: &str, mut form: Form) -> Result<Value, Failure> {
        let mut product = self.named(Kind::Product, id, "id")?;
        if let Some(active) = form.boolean("active")? {
            product["active"] = json!(active);
        }
        for field in ["name", "description", "unit_label", "default_price"] {
            if let Some(text) = form.text(field)? {
                product[field] = if text.is_empty() { Value::Null } else { json!(text) };
            }
        }
        if let Some(price) = product.maybe("default_price") {
            self.named(Kind::Price, &price, "default_price")?;
        }
        product["metadata"] = form.metadata(&product["metadata"])?;
        form.done()?;
        let now = self.now;
        self.change(Kind::Product, id, Some("product.updated"), |it| {
            *it = product;
            it["updated"] = json!(now);
        });
        Ok(self.known(Kind::Product, id))
    }

    pub(crate) fn create_price(&mut self, mut form: Form) -> Result<Value, Failure> {
        let currency = form.required("currency")?.to_ascii_lowercase();
        let product = match (form.text("product")?, form.nested("product_data")?) {
            (Some(product), None) => self.named(Kind::Product, &product, "product")?.id(),
            (None, Some(data)) => self.create_product(data)?.id(),
            _ => return Err(form.missing("product")),
        };
        let amount = form.integer("unit_amount")?.ok_or_else(|| form.missing("unit_amount"))?;
        if amount < 0 {
            return Err(form.bad("unit_amount", "Invalid non-negative integer"));
        }
        let recurring = match form.nested("recurring")? {
            None => Value::Null,
            Some(mut recurring) => {
                let interval = recurring.word("interval", &["day", "week", "month", "year"])?;
                let interval = interval.ok_or_else(|| recurring.missing("interval"))?;
                let count = recurring.integer("interval_count")?.unwrap_or(1).max(1);
                if recurring.word("usage_type", &["licensed", "metered"])?.is_some_and(|it| it == "metered") {
                    return Err(recurring.bad("usage_type", "This script meters nothing: only licensed prices."));
                }
                recurring.done()?;
                json!({"interval": interval, "interval_count": count, "meter": null, "trial_period_days": null, "usage_type": "licensed"})
            }
        };
        let id = self.new_id(Kind::Price);
        let price = json!({
            "id": id, "object": "price", "active": form.boolean("active")?.unwrap_or(true), "billing_scheme": "per_unit", "created": self.now,
            "currency": currency, "custom_unit_amount": null, "livemode": false, "lookup_key": form.text("lookup_key")?,
            "metadata": form.metadata(&json!({}))?, "nickname": form.text("nickname")?, "product": product,
            "type": if recurring.is_null() { "one_time" } else { "recurring" }, "recurring": recurring, "tax_behavior": "unspecified",
            "tiers_mode": null, "transform_quantity": null, "unit_amount": amount, "unit_amount_decimal": amount.to_string(),
        });
        form.done()?;
        self.insert(Kind::Price, price, Some("price.created"));
        Ok(self.known(Kind::Price, &id))
    }

    pub(crate) fn update_price(&mut self, id: &str, mut form: Form) -> Result<Value, Failure> {
        let mut price = self.named(Kind::Price, id, "id")?;
        if let Some(active) = form.boolean("active")? {
            price["active"] = json!(active);
        }
        for field in ["nickname", "lookup_key"] {
            if let Some(text) = form.text(field)? {
                price[field] = if text.is_empty() { Value::Null } else { json!(text) };
            }
        }
        price["metadata"] = form.metadata(&price["metadata"])?;
        form.done()?;
        self.change(Kind::Price, id, Some("price.updated"), |it| *it = price);
        Ok(self.known(Kind::Price, id))
    }

    /// A coupon of so many percent, which a person may also type in as a promotion code.
    pub(crate) fn create_coupon(&mut self, code: &str, percent: i64, months: Option<i64>) -> String {
        let coupon = json!({
            "id": code, "object": "coupon", "amount_off": null, "created": self.now, "currency": null,
            "duration": if months.is_some() { "repeating" } else { "forever" }, "duration_in_months": months, "livemode": false,
            "max_redemptions": null, "metadata": {}, "name": code, "percent_off": percent, "redeem_by": null, "times_redeemed": 0,
            "valid": true,
        });
        self.insert(Kind::Coupon, coupon, Some("coupon.created"))
    }

    /// Gives a subscription a discount.
    pub(crate) fn discount(&mut self, subscription: &str, coupon: &str, session: Option<&str>) {
        let (terms, of) = (self.known(Kind::Coupon, coupon), self.known(Kind::Subscription, subscription));
        let end = terms
            .int_at("duration_in_months")
            .map(|months| crate::calendar::add_months(self.now, u32::try_from(months).unwrap_or(1)));
        let id = self.new_id(Kind::Discount);
        let discount = json!({
            "id": id, "object": "discount", "checkout_session": session, "customer": of["customer"], "customer_account": null, "end": end,
            "invoice": null, "invoice_item": null, "promotion_code": null, "source": {"coupon": coupon, "type": "coupon"},
            "start": self.now, "subscription": subscription, "subscription_item": null,
        });
        self.insert(Kind::Discount, discount, Some("customer.discount.created"));
        self.change(Kind::Coupon, coupon, Some("coupon.updated"), |it| {
            it["times_redeemed"] = json!(it.int("times_redeemed") + 1);
        });
        self.change(Kind::Subscription, subscription, None, |it| it["discounts"] = json!([id]));
    }
}
