//! The page's own words, in English, Spanish and Chinese.

use paywall_domain::Meter;
use paywall_domain::billing::Interval;

use crate::gate::Language;

/// Every text of the page that is not a figure.
pub(super) struct Words {
    pub(super) code: &'static str,
    pub(super) title: &'static str,
    pub(super) all_well: &'static str,
    pub(super) also: &'static str,
    pub(super) usage: &'static str,
    pub(super) plans: &'static str,
    pub(super) your_plan: &'static str,
    pub(super) unlimited: &'static str,
    pub(super) unknown: &'static str,
    pub(super) full: &'static str,
    pub(super) help: &'static str,
    pub(super) contact: &'static str,
    pub(super) back: &'static str,
    pub(super) sign_in: &'static str,
    pub(super) unavailable: &'static str,
    pub(super) language: &'static str,
    pub(super) choose: &'static str,
    pub(super) subscribe: &'static str,
    pub(super) price_at_checkout: &'static str,
    pub(super) manage: &'static str,
    pub(super) manage_note: &'static str,
    pub(super) leaving: &'static str,
    pub(super) go_on: &'static str,
    pub(super) paid: &'static str,
    pub(super) confirming: &'static str,
    pub(super) still_confirming: &'static str,
    pub(super) look_again: &'static str,
    pub(super) refused: &'static str,
    pub(super) away: &'static str,
    pub(super) stale: &'static str,
    pub(super) to_account: &'static str,
}

pub(super) fn words(language: Language) -> &'static Words {
    match language {
        Language::En => &EN,
        Language::Es => &ES,
        Language::Zh => &ZH,
    }
}

static EN: Words = Words {
    code: "en",
    title: "Your account",
    all_well: "Everything in your plan is available.",
    also: "Also:",
    usage: "Usage",
    plans: "Plans",
    your_plan: "your plan",
    unlimited: "no limit",
    unknown: "not measured yet",
    full: "limit reached",
    help: "To change your plan, or with any question:",
    contact: "Contact us",
    back: "Back to the application",
    sign_in: "Sign in to the application first, then open this page again.",
    unavailable: "Your account cannot be looked up right now. Please try again in a moment.",
    language: "Language",
    choose: "Choose a plan",
    subscribe: "Subscribe",
    price_at_checkout: "the price is shown before you pay",
    manage: "Manage subscription and payments",
    manage_note: "Pay an invoice, change your card or plan, cancel or resume, and download invoices, on a page of our payment provider Stripe.",
    leaving: "Taking you to our payment provider Stripe…",
    go_on: "Continue to Stripe",
    paid: "Thank you! Your subscription is in place, and you can go on working.",
    confirming: "Thank you! Your payment is being confirmed. This page looks again by itself.",
    still_confirming: "Your payment is still being confirmed. Some ways to pay take days; you will not be charged twice.",
    look_again: "Look again",
    refused: "This cannot be bought at the moment.",
    away: "Our payment provider cannot be reached right now. Nothing was charged. Please try again in a moment.",
    stale: "This page was open for too long, or you are no longer signed in. Please open your account again.",
    to_account: "Your account",
};

static ES: Words = Words {
    code: "es",
    title: "Su cuenta",
    all_well: "Todo lo incluido en su plan está disponible.",
    also: "Además:",
    usage: "Uso",
    plans: "Planes",
    your_plan: "su plan",
    unlimited: "sin límite",
    unknown: "aún sin medir",
    full: "límite alcanzado",
    help: "Para cambiar de plan o para cualquier consulta:",
    contact: "Contáctenos",
    back: "Volver a la aplicación",
    sign_in: "Inicie sesión en la aplicación y vuelva a abrir esta página.",
    unavailable: "No se puede consultar su cuenta en este momento. Inténtelo de nuevo en unos instantes.",
    language: "Idioma",
    choose: "Elegir un plan",
    subscribe: "Suscribirse",
    price_at_checkout: "el precio se muestra antes de pagar",
    manage: "Gestionar suscripción y pagos",
    manage_note: "Pague una factura, cambie su tarjeta o su plan, cancele o reanude y descargue facturas en una página de nuestro proveedor de pagos Stripe.",
    leaving: "Le llevamos a nuestro proveedor de pagos Stripe…",
    go_on: "Continuar a Stripe",
    paid: "¡Gracias! Su suscripción está en vigor y puede seguir trabajando.",
    confirming: "¡Gracias! Su pago se está confirmando. Esta página vuelve a comprobarlo por sí sola.",
    still_confirming: "Su pago aún se está confirmando. Algunos medios de pago tardan días; no se le cobrará dos veces.",
    look_again: "Comprobar de nuevo",
    refused: "Esto no se puede contratar en este momento.",
    away: "No se puede contactar con nuestro proveedor de pagos. No se ha cobrado nada. Inténtelo de nuevo en unos instantes.",
    stale: "Esta página estuvo abierta demasiado tiempo o ya no tiene la sesión iniciada. Vuelva a abrir su cuenta.",
    to_account: "Su cuenta",
};

static ZH: Words = Words {
    code: "zh-Hans",
    title: "您的账户",
    all_well: "套餐内的所有功能均可使用。",
    also: "此外：",
    usage: "用量",
    plans: "套餐",
    your_plan: "当前套餐",
    unlimited: "不限",
    unknown: "尚未统计",
    full: "已达上限",
    help: "如需更改套餐或有任何疑问：",
    contact: "联系我们",
    back: "返回应用",
    sign_in: "请先登录应用，然后重新打开此页面。",
    unavailable: "目前无法查询您的账户，请稍后重试。",
    language: "语言",
    choose: "选择套餐",
    subscribe: "订阅",
    price_at_checkout: "付款前会显示价格",
    manage: "管理订阅和付款",
    manage_note: "在我们的支付服务商 Stripe 的页面上支付账单、更换银行卡或套餐、取消或恢复订阅，以及下载发票。",
    leaving: "正在前往我们的支付服务商 Stripe…",
    go_on: "继续前往 Stripe",
    paid: "谢谢！您的订阅已生效，可以继续使用。",
    confirming: "谢谢！正在确认您的付款，此页面会自动刷新。",
    still_confirming: "仍在确认您的付款。部分付款方式需要数天，不会重复扣款。",
    look_again: "再次查看",
    refused: "目前无法购买此项。",
    away: "目前无法连接我们的支付服务商，未扣任何款项，请稍后重试。",
    stale: "此页面打开时间过长，或者您已退出登录，请重新打开您的账户。",
    to_account: "您的账户",
};

/// A meter's name as a heading.
pub(super) fn meter(meter: Meter, language: Language) -> &'static str {
    let names = match meter {
        Meter::Messages => ["Messages", "Mensajes", "消息"],
        Meter::Tokens => ["Tokens", "Tokens", "令牌"],
        Meter::ApiRequests => ["API requests", "Solicitudes de API", "API 请求"],
        Meter::Documents => ["Documents", "Documentos", "文档"],
        Meter::StorageBytes => ["Storage", "Almacenamiento", "存储空间"],
        Meter::Datasets => ["Datasets", "Conjuntos de datos", "知识库"],
        Meter::Seats => ["Members", "Miembros", "成员"],
    };
    match language {
        Language::En => names[0],
        Language::Es => names[1],
        Language::Zh => names[2],
    }
}

/// How long the trial still runs.
pub(super) fn trial_runs(day: &str, days_left: i64, language: Language) -> String {
    match (language, days_left) {
        (Language::En, 0) => format!("Your free trial ends today ({day})."),
        (Language::En, 1) => format!("Your free trial runs until {day}: one more day."),
        (Language::En, _) => format!("Your free trial runs until {day}: {days_left} more days."),
        (Language::Es, 0) => format!("Su prueba gratuita termina hoy ({day})."),
        (Language::Es, 1) => format!("Su prueba gratuita dura hasta el {day}: queda un día."),
        (Language::Es, _) => format!("Su prueba gratuita dura hasta el {day}: quedan {days_left} días."),
        (Language::Zh, 0) => format!("免费试用将于今天（{day}）结束。"),
        (Language::Zh, _) => format!("免费试用至 {day}，还剩 {days_left} 天。"),
    }
}

/// That a payment is overdue, while everything still works.
pub(super) fn overdue(language: Language) -> &'static str {
    match language {
        Language::En => "A payment is overdue. Everything still works for now; please settle it soon.",
        Language::Es => "Hay un pago pendiente. De momento todo funciona; regularícelo pronto, por favor.",
        Language::Zh => "有一笔款项逾期未付。目前一切功能仍可使用，请尽快完成付款。",
    }
}

/// When a counter starts again.
pub(super) fn resets(minute: &str, language: Language) -> String {
    match language {
        Language::En => format!("starts again on {minute}"),
        Language::Es => format!("se reinicia el {minute}"),
        Language::Zh => format!("将于 {minute} 重置"),
    }
}

/// A level against its limit.
pub(super) fn of_limit(used: &str, limit: &str, language: Language) -> String {
    match language {
        Language::En => format!("{used} of {limit}"),
        Language::Es => format!("{used} de {limit}"),
        Language::Zh => format!("{used} / {limit}"),
    }
}

/// How often a price is paid.
pub(super) fn every(count: u32, interval: Interval, language: Language) -> String {
    let one = count == 1;
    match (language, interval) {
        (Language::En, _) => {
            let name = match interval {
                Interval::Day => "day",
                Interval::Week => "week",
                Interval::Month => "month",
                Interval::Year => "year",
            };
            if one { format!("per {name}") } else { format!("every {count} {name}s") }
        }
        (Language::Es, Interval::Day) if one => "al día".into(),
        (Language::Es, Interval::Week) if one => "a la semana".into(),
        (Language::Es, Interval::Month) if one => "al mes".into(),
        (Language::Es, Interval::Year) if one => "al año".into(),
        (Language::Es, Interval::Day) => format!("cada {count} días"),
        (Language::Es, Interval::Week) => format!("cada {count} semanas"),
        (Language::Es, Interval::Month) => format!("cada {count} meses"),
        (Language::Es, Interval::Year) => format!("cada {count} años"),
        (Language::Zh, _) => {
            let (single, several) = match interval {
                Interval::Day => ("天", "天"),
                Interval::Week => ("周", "周"),
                Interval::Month => ("月", "个月"),
                Interval::Year => ("年", "年"),
            };
            if one { format!("每{single}") } else { format!("每 {count} {several}") }
        }
    }
}

/// That the trial goes on to its end although somebody subscribes now.
pub(super) fn trial_kept(day: &str, language: Language) -> String {
    match language {
        Language::En => {
            format!("If you subscribe now, your free trial still runs until {day}; the first payment is taken then.")
        }
        Language::Es => {
            format!("Si se suscribe ahora, su prueba gratuita sigue hasta el {day}; el primer pago se cobra entonces.")
        }
        Language::Zh => format!("现在订阅，免费试用仍持续至 {day}，届时才会首次扣款。"),
    }
}

/// The same where so little of the trial is left that it goes on for whole days.
pub(super) fn trial_kept_for(days: u32, language: Language) -> String {
    match (language, days) {
        (Language::En, 1) => "If you subscribe now, the first payment is taken one day later.".into(),
        (Language::En, _) => format!("If you subscribe now, the first payment is taken {days} days later."),
        (Language::Es, 1) => "Si se suscribe ahora, el primer pago se cobra un día después.".into(),
        (Language::Es, _) => format!("Si se suscribe ahora, el primer pago se cobra {days} días después."),
        (Language::Zh, _) => format!("现在订阅，将在 {days} 天后首次扣款。"),
    }
}
