//! The awkward cases that exist already in a small world, each under a fixed index.

use paywall_domain::TenantId;

/// One tenant of the cast.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Its place in the world.
    pub index: u32,
    /// Its id.
    pub id: TenantId,
    /// Its display name.
    pub name: String,
    /// Its owner's e-mail address.
    pub email: String,
    /// `cus_…`, where it has a Stripe customer.
    pub stripe_customer: Option<String>,
    /// `sub_…`, the latest, where it has a subscription.
    pub subscription: Option<String>,
}

macro_rules! cast {
    ($($(#[$doc:meta])* $field:ident $role:ident,)*) => {
        /// A part that a tenant plays.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Role {
            $($(#[$doc])* $role,)*
        }

        impl Role {
            /// Every part, in the order of its index in the world.
            pub const ALL: &'static [Self] = &[$(Self::$role,)*];

            /// The part's name, as the field of [`Cast`] is called.
            pub fn name(self) -> &'static str {
                match self { $(Self::$role => stringify!($field),)* }
            }
        }

        /// The tenants that play a part.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct Cast {
            $($(#[$doc])* pub $field: Member,)*
        }

        impl Cast {
            pub(crate) fn new(member: impl Fn(Role) -> Member) -> Self {
                Self { $($field: member(Role::$role),)* }
            }

            /// Every part with the tenant that plays it.
            pub fn members(&self) -> Vec<(Role, &Member)> {
                vec![$((Role::$role, &self.$field),)*]
            }
        }
    };
}

cast! {
    /// The trial ended two days ago; refused six minutes ago.
    locked_out LockedOut,
    /// The trial ended, and the documents are at their limit too.
    two_rules TwoRules,
    /// A running trial that was extended twice.
    extended_before ExtendedBefore,
    /// Enterprise for free, without an end.
    comped Comped,
    /// A limit of its own that runs out, and one that ran out.
    overridden Overridden,
    /// Suspended by staff while it pays.
    suspended Suspended,
    /// A payment failed three days ago; access continues.
    past_due_in_grace PastDueInGrace,
    /// A payment failed eleven days ago; the grace period is over.
    overdue Overdue,
    /// Canceled three weeks ago.
    canceled Canceled,
    /// Storage is full: uploads are denied, everything else works.
    quota_partial QuotaPartial,
    /// On a plan without any limit.
    unlimited Unlimited,
    /// Usage was never measured.
    unknown_usage UnknownUsage,
    /// On a plan whose limits are zero.
    zero_limit ZeroLimit,
    /// Pays in yen, a currency without minor units.
    jpy Jpy,
    /// Pays in Kuwaiti dinars, a currency of three decimals.
    kwd Kwd,
    /// Its Stripe customer was deleted nine days ago.
    deleted_customer DeletedCustomer,
    /// A name of more than 200 characters.
    very_long_name VeryLongName,
    /// A name written from right to left.
    arabic Arabic,
    /// A name written from right to left, with digits and Latin letters between.
    hebrew Hebrew,
    /// A Chinese name.
    chinese Chinese,
    /// A Japanese name.
    japanese Japanese,
    /// A Korean name.
    korean Korean,
    /// A Hindi name.
    hindi Hindi,
    /// A Thai name.
    thai Thai,
    /// A Greek name.
    greek Greek,
    /// A Cyrillic name.
    cyrillic Cyrillic,
    /// A name with emoji, joined ones among them.
    emoji Emoji,
    /// A name of letters with separate combining marks.
    combining Combining,
    /// A name that looks like markup.
    markup Markup,
    /// A name with quotes, an apostrophe, a comma and a backslash.
    quotes Quotes,
    /// A name with blanks around it and within.
    spaces Spaces,
    /// The trial ends in two hours.
    trial_ends_in_2h TrialEndsIn2h,
    /// The trial ends in a day.
    trial_ends_in_1d TrialEndsIn1d,
    /// The trial ends in three days.
    trial_ends_in_3d TrialEndsIn3d,
    /// Nobody but its owner.
    owner_only OwnerOnly,
    /// Three hundred members.
    many_members ManyMembers,
    /// On a trial that Stripe runs.
    stripe_trialing StripeTrialing,
    /// Stripe gave up collecting.
    unpaid Unpaid,
    /// The subscription is paused.
    paused Paused,
    /// The first payment waits for the customer.
    incomplete Incomplete,
    /// The first payment was never made.
    incomplete_expired IncompleteExpired,
    /// Pays in euros.
    eur Eur,
    /// Pays by the year.
    yearly Yearly,
    /// Moved from Starter to Pro in mid-period.
    upgraded Upgraded,
    /// A payment was given back.
    refunded Refunded,
    /// A payment is disputed and needs an answer.
    disputed Disputed,
    /// Pays less by a coupon.
    discounted Discounted,
    /// Leaves at the end of the period.
    cancels_at_period_end CancelsAtPeriodEnd,
    /// Left and came back with a second subscription.
    came_back CameBack,
    /// Twelve subscription items, more than Stripe shows within a subscription.
    many_items ManyItems,
    /// Collection is paused; the status stays.
    collection_paused CollectionPaused,
    /// A comp that ran out.
    comp_ended CompEnded,
    /// Its account was deleted in `RAGFlow`.
    deleted_account DeletedAccount,
    /// Still pays what Pro cost before it was raised.
    former_price FormerPrice,
}
