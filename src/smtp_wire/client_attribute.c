#include "smtp_wire/client_attribute.h"

#include <string.h>

#include "mail/address.h"
#include "mail/dsn.h"
#include "net/address.h"

#define PROTOCOL_MAX 64
#define PORT_DIGITS  5

struct attribute_row {
	const char *name;
	/* Adds what the value means; false: it means nothing. */
	bool (*read)(struct str value, bool ipv6, struct buf *out);
	const char *not_known; /* for [UNAVAILABLE]; NULL: a value like any other */
	const char *spoilers;  /* bytes that would upset a reader of logs and headers */
	bool looked_up;        /* may be [TEMPUNAVAIL] */
};

struct client_attribute_set {
	const char *command;
	const struct attribute_row *rows;
	unsigned count;
};

static bool read_host(struct str value, UNUSED bool ipv6, struct buf *out)
{
	buf_add_str(out, value);
	return address_domain_valid(value, false, NULL);
}

/* RFC 5321 4.1.3 without its brackets: "1.2.3.4", "IPv6:::1". */
static bool read_address(struct str value, bool ipv6, struct buf *out)
{
	const struct str prefix = STR("IPv6:");
	struct net_address address;
	bool prefixed = str_starts_nocase(value, prefix);
	if (!net_address_parse(str_skip(value, prefixed ? prefix.len : 0), 0, &address) ||
	    (net_address_family(&address) == AF_INET6) != prefixed)
		return false;
	net_address_unmap(&address);
	net_address_add_text(out, &address);
	return ipv6 || net_address_family(&address) == AF_INET;
}

static bool read_port(struct str value, UNUSED bool ipv6, struct buf *out)
{
	for (size_t i = 0; i < value.len; i++)
		if (!ascii_is_digit(value.p[i]))
			return false;
	buf_add_str(out, value);
	return value.len <= PORT_DIGITS;
}

static bool read_text(struct str value, UNUSED bool ipv6, struct buf *out)
{
	buf_add_str(out, value);
	return true;
}

static bool read_protocol(struct str value, UNUSED bool ipv6, struct buf *out)
{
	buf_add_str(out, value);
	return value.len <= PROTOCOL_MAX;
}

static bool read_word(
    struct str value, const char *first, const char *second, struct buf *out)
{
	bool is_first = str_is_nocase(value, first);
	buf_add_cstr(out, is_first ? first : second);
	return is_first || str_is_nocase(value, second);
}

static bool read_smtp(struct str value, UNUSED bool ipv6, struct buf *out)
{
	return read_word(value, "SMTP", "ESMTP", out);
}

static bool read_source(struct str value, UNUSED bool ipv6, struct buf *out)
{
	return read_word(value, "local", "remote", out);
}

static const char unknown[] = "unknown";
static const char spoilers[] = " \"<>()\\;@";

static const struct attribute_row xclient_rows[XCLIENT_COUNT] = {
    [XCLIENT_NAME] = {"NAME", read_host, unknown, "", true},
    [XCLIENT_ADDR] = {"ADDR", read_address, unknown, "", false},
    [XCLIENT_PROTO] = {"PROTO", read_smtp, NULL, "", false},
    [XCLIENT_HELO] = {"HELO", read_text, "", spoilers, false},
    [XCLIENT_REVERSE_NAME] = {"REVERSE_NAME", read_host, unknown, "", true},
    [XCLIENT_PORT] = {"PORT", read_port, unknown, "", false},
    [XCLIENT_LOGIN] = {"LOGIN", read_text, "", "", false},
    [XCLIENT_DESTADDR] = {"DESTADDR", read_address, unknown, "", false},
    [XCLIENT_DESTPORT] = {"DESTPORT", read_port, unknown, "", false},
};
const struct client_attribute_set client_attribute_xclient = {
    "XCLIENT", xclient_rows, XCLIENT_COUNT};

static const struct attribute_row xforward_rows[FORWARDED_COUNT] = {
    [FORWARDED_NAME] = {"NAME", read_host, unknown, spoilers, false},
    [FORWARDED_ADDR] = {"ADDR", read_address, unknown, spoilers, false},
    [FORWARDED_PROTO] = {"PROTO", read_protocol, unknown, spoilers, false},
    [FORWARDED_HELO] = {"HELO", read_text, "", spoilers, false},
    [FORWARDED_SOURCE] = {"SOURCE", read_source, "local", spoilers, false},
    [FORWARDED_PORT] = {"PORT", read_port, unknown, spoilers, false},
    [FORWARDED_IDENT] = {"IDENT", read_text, "", spoilers, false},
};
const struct client_attribute_set client_attribute_xforward = {
    "XFORWARD", xforward_rows, FORWARDED_COUNT};

void client_attribute_names(const struct client_attribute_set *set, struct buf *out)
{
	for (unsigned i = 0; i < set->count; i++)
		buf_printf(out, " %s", set->rows[i].name);
}

/* Control bytes, what is no UTF-8, and what the row does not want become "?". */
static void clean(struct buf *text, const char *unwanted)
{
	for (size_t i = 0; i < text->len;) {
		unsigned char c = (unsigned char)text->p[i];
		size_t len = str_utf8_length(str_skip(buf_str(text), i));
		if (len == 0 || c < ' ' || c == 127 || strchr(unwanted, c) != NULL)
			text->p[i] = '?';
		i += len > 0 ? len : 1;
	}
}

static bool refuse(struct buf *error, const char *what, const char *name, struct str text)
{
	buf_printf(error, "Bad %s %s: %.*s", name, what, STR_ARG(text));
	return false;
}

/* What is no xtext is taken as it stands. */
static void decode(struct str raw, const char *unwanted, struct buf *text)
{
	if (!xtext_decode(text, raw))
		buf_add_str(text, raw);
	clean(text, unwanted);
}

static bool read_value(
    const struct attribute_row *row, bool ipv6, struct str text, struct buf *value)
{
	bool missing = row->not_known != NULL && str_is_nocase(text, "[UNAVAILABLE]");
	if (!missing && !(row->looked_up && str_is_nocase(text, "[TEMPUNAVAIL]")))
		return row->read(text, ipv6, value);
	buf_add_cstr(value, row->not_known);
	return true;
}

static const struct attribute_row *find(
    const struct client_attribute_set *set, struct str name)
{
	for (unsigned i = 0; i < set->count; i++)
		if (str_is_nocase(name, set->rows[i].name))
			return &set->rows[i];
	return NULL;
}

static bool take(const struct client_attribute_set *set, bool ipv6, struct str word,
    struct client_attributes *values, struct buf *error)
{
	CLEANUP(buf_free) struct buf text = BUF_INIT(CLIENT_ATTRIBUTE_MAX);
	CLEANUP(buf_free) struct buf value = BUF_INIT(CLIENT_ATTRIBUTE_MAX);
	ptrdiff_t equals = str_find(word, '=');
	struct str raw = str_skip(word, equals < 0 ? word.len : (size_t)equals + 1);
	if (raw.len == 0) {
		buf_add_cstr(error, "Error: attribute=value expected");
		return false;
	}
	if (raw.len > CLIENT_ATTRIBUTE_MAX) {
		buf_add_cstr(error, "Error: attribute value too long");
		return false;
	}
	struct str name = str_slice(word, 0, (size_t)equals);
	const struct attribute_row *row = find(set, name);
	if (row == NULL)
		return refuse(error, "attribute name", set->command, name);
	decode(raw, row->spoilers, &text);
	if (!read_value(row, ipv6, buf_str(&text), &value))
		return refuse(error, "syntax", row->name, buf_str(&text));
	unsigned which = (unsigned)(row - set->rows);
	values->said |= 1u << which;
	return str_to_cstr(
	    buf_str(&value), values->value[which], sizeof(values->value[which]));
}

bool client_attribute_read(const struct client_attribute_set *set, bool ipv6,
    struct str arguments, struct client_attributes *values, struct buf *error)
{
	struct str word;
	while (str_next(&arguments, " \t", &word))
		if (!take(set, ipv6, word, values, error))
			return false;
	return true;
}

struct str client_attribute_value(const struct client_attributes *values, unsigned which)
{
	return (values->said & 1u << which) != 0 ? str_of(values->value[which])
						 : STR_EMPTY;
}
