//! The page's own words, in English, Spanish and Chinese.

use paywall_domain::Meter;

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
