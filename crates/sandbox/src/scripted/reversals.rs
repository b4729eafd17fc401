//! Refunds, disputes and credit notes.

use serde_json::{Value, json};

use super::form::Form;
use super::state::{Fields, State};
use crate::calendar::DAY;
use crate::ids::Kind;
use crate::render::list;
use crate::wire::Failure;

impl State {
    pub(crate) fn create_refund(&mut self, mut form: Form) -> Result<Value, Failure> {
        let (charge, intent) = (form.text("charge")?, form.text("payment_intent")?);
        let charge = match (charge, intent) {
            (Some(charge), None) => self.named(Kind::Charge, &charge, "charge")?,
            (None, Some(intent)) => {
                let intent = self.named(Kind::PaymentIntent, &intent, "payment_intent")?;
                self.named(Kind::Charge, intent.text("latest_charge"), "payment_intent")?
            }
            _ => {
                let message =
                    "One of the following params should be provided for this request: payment_intent or charge.";
                return Err(Failure::invalid(message, None, None));
            }
        };
        let reason = form.word("reason", &["duplicate", "fraudulent", "requested_by_customer"])?;
        let left = charge.int("amount") - charge.int("amount_refunded");
        let amount = form.integer("amount")?.unwrap_or(left);
        let metadata = form.metadata(&json!({}))?;
        form.done()?;
        let id = charge.id();
        if !charge.is("status", "succeeded") {
            return Err(Failure::invalid("This charge has not succeeded and cannot be refunded.", None, None));
        }
        if charge.flag("disputed") && self.disputes_of(&id).iter().any(|it| !it.is("status", "won")) {
            let message = format!("Charge {id} has been charged back; cannot issue a refund.");
            return Err(Failure::invalid(message, None, Some("charge_disputed")));
        }
        if left == 0 {
            let message = format!("Charge {id} has already been refunded.");
            return Err(Failure::invalid(message, None, Some("charge_already_refunded")));
        }
        if !(1..=left).contains(&amount) {
            let message = format!("Refund amount ({amount}) is greater than unrefunded amount on charge ({left})");
            return Err(Failure::invalid(message, Some("amount"), None));
        }
        Ok(self.refund(&charge, amount, reason.as_deref(), &metadata))
    }

    fn refund(&mut self, charge: &Value, amount: i64, reason: Option<&str>, metadata: &Value) -> Value {
        let (id, balance) = (self.new_id(Kind::Refund), self.new_id(Kind::BalanceTransaction));
        let refund = json!({
            "id": id, "object": "refund", "amount": amount, "balance_transaction": balance, "charge": charge["id"], "created": self.now,
            "currency": charge["currency"], "customer": charge["customer"], "customer_account": null,
            "destination_details": {"card": {"type": "refund"}, "type": "card"}, "metadata": metadata,
            "payment_intent": charge["payment_intent"], "payment_method": charge["payment_method"], "reason": reason,
            "receipt_number": null, "source_transfer_reversal": null, "status": "succeeded", "transfer_reversal": null,
        });
        self.insert(Kind::Refund, refund, Some("refund.created"));
        self.change(Kind::Charge, &charge.id(), Some("charge.refunded"), |it| {
            let refunded = it.int("amount_refunded") + amount;
            it["amount_refunded"] = json!(refunded);
            it["refunded"] = json!(refunded >= it.int("amount"));
        });
        self.known(Kind::Refund, &id)
    }

    fn disputes_of(&self, charge: &str) -> Vec<Value> {
        self.table(Kind::Dispute).filter(|it| it.is("charge", charge)).cloned().collect()
    }

    /// A cardholder disputes a payment: the money is withdrawn at once.
    pub(crate) fn dispute(&mut self, charge: &str, reason: &str) -> Option<String> {
        let of =
            self.get(Kind::Charge, charge).filter(|it| it.is("status", "succeeded") && !it.flag("disputed"))?.clone();
        let id = self.new_id(Kind::Dispute);
        let dispute = json!({
            "id": id, "object": "dispute", "amount": of["amount"], "balance_transactions": [], "charge": charge, "created": self.now,
            "currency": of["currency"], "enhanced_eligibility_types": [],
            "evidence": {"customer_name": null, "receipt": null, "uncategorized_text": null},
            "evidence_details": {
                "due_by": self.now + 14 * DAY, "enhanced_eligibility": {}, "has_evidence": false, "past_due": false, "submission_count": 0,
            },
            "is_charge_refundable": false, "livemode": false, "metadata": {}, "payment_intent": of["payment_intent"],
            "payment_method_details": {"card": {"brand": "visa", "case_type": "chargeback", "network_reason_code": "10.4"}, "type": "card"},
            "reason": reason, "status": "needs_response",
        });
        self.change(Kind::Charge, charge, Some("charge.updated"), |it| it["disputed"] = json!(true));
        self.insert(Kind::Dispute, dispute, Some("charge.dispute.created"));
        self.tell("charge.dispute.funds_withdrawn", Kind::Dispute, &id);
        Some(id)
    }

    /// The bank decides a dispute.
    pub(crate) fn decide(&mut self, dispute: &str, won: bool) -> bool {
        let open = self.get(Kind::Dispute, dispute).is_some_and(|it| !matches!(it.text("status"), "won" | "lost"));
        if !open {
            return false;
        }
        self.change(Kind::Dispute, dispute, Some("charge.dispute.closed"), |it| {
            it["status"] = json!(if won { "won" } else { "lost" });
        });
        if won {
            self.tell("charge.dispute.funds_reinstated", Kind::Dispute, dispute);
        }
        true
    }

    /// The account's owner gives a dispute up.
    pub(crate) fn accept_dispute(&mut self, id: &str, form: Form) -> Result<Value, Failure> {
        form.done()?;
        self.named(Kind::Dispute, id, "dispute")?;
        if !self.decide(id, false) {
            return Err(Failure::invalid("This dispute is already closed.", None, None));
        }
        Ok(self.known(Kind::Dispute, id))
    }

    /// A credit note on a paid invoice, refunded, or on an open one, which then owes less.
    pub(crate) fn create_credit_note(&mut self, mut form: Form) -> Result<Value, Failure> {
        let invoice = self.named(Kind::Invoice, &form.required("invoice")?, "invoice")?;
        let amount = form.integer("amount")?.ok_or_else(|| form.missing("amount"))?;
        let reason = form.word("reason", &["duplicate", "fraudulent", "order_change", "product_unsatisfactory"])?;
        let memo = form.text("memo")?;
        let metadata = form.metadata(&json!({}))?;
        let refunded = form.integer("refund_amount")?;
        form.done()?;
        let open = invoice.is("status", "open");
        if !open && !invoice.is("status", "paid") {
            return Err(Failure::invalid(
                "You can only create credit notes for open or paid invoices.",
                Some("invoice"),
                None,
            ));
        }
        let most = if open {
            invoice.int("amount_remaining")
        } else {
            invoice.int("amount_paid") - invoice.int("post_payment_credit_notes_amount")
        };
        if !(1..=most).contains(&amount) {
            let message = format!("The amount must be between 1 and {most}.");
            return Err(form_error("amount", &message));
        }
        if !open && refunded != Some(amount) {
            let message =
                "The sum of credit amount, refund amount and out of band amount must equal the credit note amount.";
            return Err(form_error("refund_amount", message));
        }
        let (id, line) = (self.new_id(Kind::CreditNote), self.new_id(Kind::InvoiceLine));
        let mut refunds = json!([]);
        if !open {
            let payment = self.payments_of(&invoice.id()).pop().unwrap_or_default();
            let intent = self.known(Kind::PaymentIntent, payment.text("payment/payment_intent"));
            let charge = self.named(Kind::Charge, intent.text("latest_charge"), "invoice")?;
            if charge.int("amount") - charge.int("amount_refunded") < amount {
                return Err(form_error("refund_amount", "The refund is greater than what is left of the charge."));
            }
            let refund = self.refund(&charge, amount, None, &json!({}));
            refunds = json!([{"amount_refunded": amount, "payment_record_refund": null, "refund": refund["id"], "type": "refund"}]);
        }
        let lines = vec![json!({
            "id": line, "object": "credit_note_line_item", "amount": amount, "description": "Credit", "discount_amount": 0,
            "discount_amounts": [], "livemode": false, "metadata": null, "pretax_credit_amounts": [], "quantity": 1, "tax_rates": [],
            "taxes": [], "type": "custom_line_item", "unit_amount": amount, "unit_amount_decimal": amount.to_string(),
        })];
        let url = format!("/v1/credit_notes/{id}/lines");
        let note = json!({
            "id": id, "object": "credit_note", "amount": amount, "amount_shipping": 0, "created": self.now, "currency": invoice["currency"],
            "customer": invoice["customer"], "customer_account": null, "customer_balance_transaction": null, "discount_amount": 0,
            "discount_amounts": [], "effective_at": self.now, "invoice": invoice["id"], "lines": list(lines, false, url), "livemode": false,
            "memo": memo, "metadata": metadata, "number": format!("{}-CN-01", invoice.text("number")), "out_of_band_amount": null, "pdf": "",
            "post_payment_amount": if open { 0 } else { amount }, "pre_payment_amount": if open { amount } else { 0 },
            "pretax_credit_amounts": [], "reason": reason, "refunds": refunds, "shipping_cost": null, "status": "issued",
            "subtotal": amount, "subtotal_excluding_tax": amount, "total": amount, "total_excluding_tax": amount, "total_taxes": [],
            "type": if open { "pre_payment" } else { "post_payment" }, "voided_at": null,
        });
        self.insert(Kind::CreditNote, note, Some("credit_note.created"));
        let invoice_id = invoice.id();
        self.change(Kind::Invoice, &invoice_id, Some("invoice.updated"), |it| {
            let field = if open { "pre_payment_credit_notes_amount" } else { "post_payment_credit_notes_amount" };
            it[field] = json!(it.int(field) + amount);
            if open {
                it["amount_due"] = json!(it.int("amount_due") - amount);
                it["amount_remaining"] = json!(it.int("amount_remaining") - amount);
            }
        });
        if open {
            self.lessen(&invoice_id, amount);
        }
        Ok(self.known(Kind::CreditNote, &id))
    }
}

fn form_error(field: &str, message: &str) -> Failure {
    Failure::invalid(message.to_owned(), Some(field), None)
}
