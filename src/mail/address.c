#include "mail/address.h"

static bool log_external = true;

struct address_parts address_split(struct str internal)
{
	ptrdiff_t at = str_find_last(internal, '@');
	if (at < 0)
		return (struct address_parts){.local = internal};
	return (struct address_parts){.local = str_slice(internal, 0, (size_t)at),
	    .domain = str_skip(internal, (size_t)at + 1)};
}

/* Index of the last '@' that is neither quoted nor escaped, or -1. */
static ptrdiff_t last_plain_at(struct str s)
{
	ptrdiff_t found = -1;
	bool quoted = false;
	for (size_t i = 0; i < s.len; i++) {
		if (s.p[i] == '\\')
			i++;
		else if (s.p[i] == '"')
			quoted = !quoted;
		else if (s.p[i] == '@' && !quoted)
			found = (ptrdiff_t)i;
	}
	return found;
}

void address_unquote(struct buf *out, struct str external)
{
	ptrdiff_t at = last_plain_at(external);
	struct str local = at < 0 ? external : str_slice(external, 0, (size_t)at);
	for (size_t i = 0; i < local.len; i++) {
		if (local.p[i] == '"')
			continue;
		if (local.p[i] == '\\' && i + 1 < local.len)
			i++;
		buf_add_char(out, local.p[i]);
	}
	if (at >= 0)
		buf_add_str(out, str_skip(external, (size_t)at));
}

/* RFC 5321 4.1.2 atext; bytes of UTF-8 are too (RFC 6531 3.3). */
static bool is_atext(char c)
{
	return ascii_is_alnum(c) || (unsigned char)c >= 128 ||
	    (c != '\0' && strchr("!#$%&'*+-/=?^_`{|}~", c) != NULL);
}

bool address_local_is_plain(struct str s)
{
	for (size_t i = 0; i < s.len; i++) {
		if (is_atext(s.p[i]))
			continue;
		if (s.p[i] != '.' || i == 0 || i + 1 == s.len || s.p[i - 1] == '.')
			return false;
	}
	return s.len > 0;
}

void address_quote(struct buf *out, struct str internal)
{
	struct address_parts parts = address_split(internal);
	if (internal.len == 0)
		return;
	if (address_local_is_plain(parts.local)) {
		buf_add_str(out, internal);
		return;
	}
	buf_add_char(out, '"');
	for (size_t i = 0; i < parts.local.len; i++) {
		if (parts.local.p[i] == '"' || parts.local.p[i] == '\\')
			buf_add_char(out, '\\');
		buf_add_char(out, parts.local.p[i]);
	}
	buf_add_char(out, '"');
	if (parts.domain.p != NULL) {
		buf_add_char(out, '@');
		buf_add_str(out, parts.domain);
	}
}

static bool never_split(
    struct str local, char delimiter, const struct address_extension_rules *rules)
{
	if (str_is_nocase(local, "postmaster") || str_is_nocase(local, "mailer-daemon") ||
	    (rules->double_bounce != NULL && str_is_nocase(local, rules->double_bounce)))
		return true;
	/* Names of mailing lists' helpers would break at their own hyphen. */
	return rules->owner_request_special && delimiter == '-' &&
	    (str_starts_nocase(local, STR("owner-")) ||
		str_ends_nocase(local, STR("-request")));
}

struct address_extension address_split_extension(
    struct str local, const struct address_extension_rules *rules)
{
	struct address_extension none = {.base = local};
	ptrdiff_t at = str_find_any(local, rules->delimiters);
	if (at <= 0 || never_split(local, local.p[at], rules))
		return none;
	return (struct address_extension){.base = str_slice(local, 0, (size_t)at),
	    .extension = str_skip(local, (size_t)at + 1),
	    .delimiter = local.p[at]};
}

#define LABEL_MAX  63
#define DOMAIN_MAX 255

static const char *label_problem(struct str label, bool utf8)
{
	if (label.len == 0)
		return "empty label";
	if (label.len > LABEL_MAX)
		return "label too long";
	if (label.p[0] == '-' || label.p[label.len - 1] == '-')
		return "misplaced hyphen";
	for (size_t i = 0; i < label.len; i++)
		if (!ascii_is_alnum(label.p[i]) && label.p[i] != '-' &&
		    label.p[i] != '_' && !(utf8 && (unsigned char)label.p[i] >= 128))
			return "invalid character";
	return NULL;
}

static bool is_numeric(struct str domain)
{
	for (size_t i = 0; i < domain.len; i++)
		if (!ascii_is_digit(domain.p[i]) && domain.p[i] != '.')
			return false;
	return true;
}

static const char *domain_problem(struct str domain, bool utf8)
{
	if (domain.len == 0)
		return "empty name";
	if (domain.len > DOMAIN_MAX)
		return "name too long";
	if (utf8 && !str_is_utf8(domain))
		return "malformed UTF-8";
	for (struct str rest = domain;;) {
		ptrdiff_t dot = str_find(rest, '.');
		const char *problem =
		    label_problem(dot < 0 ? rest : str_slice(rest, 0, (size_t)dot), utf8);
		if (problem != NULL)
			return problem;
		if (dot < 0)
			break;
		rest = str_skip(rest, (size_t)dot + 1);
	}
	return is_numeric(domain) ? "numeric name" : NULL;
}

bool address_domain_valid(struct str domain, bool utf8, const char **reason_r)
{
	const char *problem = domain_problem(domain, utf8);
	if (problem != NULL && reason_r != NULL)
		*reason_r = problem;
	return problem == NULL;
}

bool address_literal_parse(struct str domain, struct net_address *r)
{
	if (domain.len < 3 || domain.p[0] != '[' || domain.p[domain.len - 1] != ']')
		return false;
	struct str text = str_slice(domain, 1, domain.len - 1);
	bool tagged = str_starts_nocase(text, STR("IPv6:"));
	struct net_address parsed;
	if (!net_address_parse(tagged ? str_skip(text, 5) : text, 0, &parsed))
		return false;
	if ((net_address_family(&parsed) == AF_INET6) != tagged)
		return false;
	*r = parsed;
	return true;
}

bool address_envelope_valid(struct str internal, struct address_path_rules rules)
{
	if (internal.len > ADDRESS_MAX || str_has_control(internal))
		return false;
	struct str domain = address_split(internal).domain;
	if (domain.p == NULL)
		return true;
	struct net_address literal;
	if (domain.len > 0 && domain.p[0] == '[')
		return address_literal_parse(domain, &literal);
	if (domain.len == 0)
		return rules.null_domain_ok;
	/* "user@example.com." is taken; rewriting removes the dot. */
	if (domain.len > 1 && domain.p[domain.len - 1] == '.')
		domain.len--;
	return address_domain_valid(domain, rules.utf8_ok, NULL) ||
	    (rules.numeric_domain_ok && net_address_parse(domain, 0, &literal));
}

void address_add_log(struct buf *out, struct str internal)
{
	if (log_external)
		address_quote(out, internal);
	else
		buf_add_str(out, internal);
}

void address_log_format(bool external)
{
	log_external = external;
}
