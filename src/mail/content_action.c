#include "base/log.h"
#include "mail/content_checks.h"
#include "mail/header.h"

static const struct {
	const char *name;
	enum content_text text;
} rows[] = {
#define CONTENT_ACTION_ROW(kind, name, text) [kind] = {name, text},
    CONTENT_ACTIONS(CONTENT_ACTION_ROW)
#undef CONTENT_ACTION_ROW
};

const char *content_action_word(enum content_action_kind kind)
{
	static const char *const words[] = {[CONTENT_BCC] = "bcc",
	    [CONTENT_DISCARD] = "discard",
	    [CONTENT_FILTER] = "filter",
	    [CONTENT_HOLD] = "hold",
	    [CONTENT_INFO] = "info",
	    [CONTENT_PASS] = "pass",
	    [CONTENT_PREPEND] = "prepend",
	    [CONTENT_REDIRECT] = "redirect",
	    [CONTENT_REJECT] = "reject",
	    [CONTENT_REPLACE] = "replace",
	    [CONTENT_STRIP] = "strip",
	    [CONTENT_WARN] = "warning"};
	return (size_t)kind < ARRAY_SIZE(words) && words[kind] != NULL ? words[kind] : "";
}

static bool has_inner(struct str text, char c)
{
	ptrdiff_t at = str_find(text, c);
	return at > 0 && (size_t)at + 1 < text.len;
}

/* The warning, or false when the text suits the action. */
static bool is_bad_text(const char *name, enum content_text wanted, struct str text,
    bool header, const char *title)
{
	switch (wanted) {
	case CONTENT_TEXT_ANY:
		return false;
	case CONTENT_TEXT_ADDRESS:
		if (has_inner(text, '@'))
			return false;
		log_warning("bad %s %s \"%.*s\" in %s map -- need user@domain", name,
		    str_is(str_of(name), "BCC") ? "address" : "target", STR_ARG(text),
		    title);
		return true;
	case CONTENT_TEXT_FILTER:
		if (has_inner(text, ':') || str_find(text, ':') > 0)
			return false;
		log_warning("bad %s command %.*s in %s -- need transport:destination",
		    name, STR_ARG(text), title);
		return true;
	case CONTENT_TEXT_LINE:
		if (text.len == 0) {
			log_warning("%s action without text in %s map", name, title);
			return true;
		}
		if (!header || header_name_length(text) > 0)
			return false;
		log_warning("bad %s header text \"%.*s\" in %s map -- need "
			    "\"headername: headervalue\"",
		    name, STR_ARG(text), title);
		return true;
	}
	return true;
}

struct content_action content_action_parse(
    struct str value, unsigned allowed, bool header, const char *title)
{
	const struct content_action nothing = {.kind = CONTENT_DUNNO, .text = STR_EMPTY};
	struct str rest = value, name = STR_EMPTY;
	(void)str_next(&rest, " \t\r\n", &name);
	struct str text = str_trim(rest);
	for (size_t kind = 0; kind < ARRAY_SIZE(rows); kind++) {
		if (!str_is_nocase(name, rows[kind].name) || (allowed & 1u << kind) == 0)
			continue;
		if (is_bad_text(rows[kind].name, rows[kind].text, text, header, title))
			return nothing;
		return (struct content_action){(enum content_action_kind)kind, text};
	}
	log_warning("unknown command in %s map: %.*s", title, STR_ARG(value));
	return nothing;
}
