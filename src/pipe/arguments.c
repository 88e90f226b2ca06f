#include "pipe/arguments.h"

#include "conf/expand.h"

#define ARGUMENT_MAX  65536
#define ARGUMENTS_MAX 20000

struct scope {
	const struct pipe_context *context;
	size_t recipient;
	bool names_recipient; /* some name was one of a recipient */
	struct buf *unknown;
};

static struct arena *arena_of(const struct scope *s)
{
	return s->context->delivery->arena;
}

static bool has_flag(const struct scope *s, enum pipe_flag flag)
{
	return (s->context->attributes->flags & flag) != 0;
}

static const struct delivery_recipient *recipient_of(const struct scope *s)
{
	return s->context->delivery->recipients[s->recipient].request;
}

/* ASCII letters only, as in domain names. */
static struct str folded(const struct scope *s, struct str text, bool fold)
{
	if (!fold)
		return text;
	struct buf copy = BUF_INIT(text.len + 1);
	for (size_t i = 0; i < text.len; i++)
		buf_add_char(&copy, ascii_lower(text.p[i]));
	struct str result = arena_str(arena_of(s), buf_str(&copy));
	buf_free(&copy);
	return result.p != NULL ? result : STR_EMPTY;
}

static struct str quoted(const struct scope *s, struct str address)
{
	if (!has_flag(s, PIPE_QUOTE) || address.len == 0)
		return address;
	CLEANUP(buf_free) struct buf text = BUF_INIT(ADDRESS_MAX * 2 + 2);
	address_quote(&text, address);
	return arena_str(arena_of(s), buf_str(&text));
}

static struct str whole_address(const struct scope *s, struct str address)
{
	struct address_parts parts = address_split(address);
	struct str local = folded(s, parts.local, has_flag(s, PIPE_FOLD_LOCAL));
	if (parts.domain.p == NULL)
		return quoted(s, local);
	struct str domain = folded(s, parts.domain, has_flag(s, PIPE_FOLD_DOMAIN));
	const char *text =
	    arena_printf(arena_of(s), "%.*s@%.*s", STR_ARG(local), STR_ARG(domain));
	return quoted(s, str_of(text));
}

static struct str recipient(const struct scope *s)
{
	return whole_address(s, recipient_of(s)->address);
}

static struct str original_recipient(const struct scope *s)
{
	const struct delivery_recipient *r = recipient_of(s);
	return whole_address(s, r->original.len > 0 ? r->original : r->address);
}

static struct str mailbox(const struct scope *s)
{
	return folded(s, address_split(recipient_of(s)->address).local,
	    has_flag(s, PIPE_FOLD_LOCAL));
}

static struct address_extension split(const struct scope *s)
{
	return address_split_extension(mailbox(s), &s->context->rules);
}

static struct str user(const struct scope *s)
{
	return split(s).base;
}

static struct str extension(const struct scope *s)
{
	struct str text = split(s).extension;
	return text.p != NULL ? text : STR_EMPTY;
}

static struct str domain(const struct scope *s)
{
	struct str text = address_split(recipient_of(s)->address).domain;
	return text.p == NULL ? STR_EMPTY
			      : folded(s, text, has_flag(s, PIPE_FOLD_DOMAIN));
}

static struct str nexthop(const struct scope *s)
{
	return folded(
	    s, s->context->delivery->request.nexthop, has_flag(s, PIPE_FOLD_DOMAIN));
}

static struct str sender(const struct scope *s)
{
	struct str address = s->context->delivery->request.sender;
	const char *instead = s->context->attributes->null_sender;
	if (address.len == 0)
		address = str_of(instead != NULL ? instead : "MAILER-DAEMON");
	return quoted(s, address);
}

static struct str size(const struct scope *s)
{
	return str_of(arena_printf(
	    arena_of(s), "%lld", (long long)s->context->delivery->request.size));
}

static struct str envelope_id(const struct scope *s)
{
	return s->context->delivery->request.envelope_id;
}

static struct str queue_id(const struct scope *s)
{
	return s->context->delivery->request.id;
}

static const struct name {
	const char *name;
	struct str (*value)(const struct scope *s); /* NULL: an attribute of the file */
	const char *attribute;
	bool of_recipient;
} names[] = {
    {"recipient", recipient, NULL, true},
    {"original_recipient", original_recipient, NULL, true},
    {"mailbox", mailbox, NULL, true},
    {"user", user, NULL, true},
    {"extension", extension, NULL, true},
    {"domain", domain, NULL, true},
    {"nexthop", nexthop, NULL, false},
    {"sender", sender, NULL, false},
    {"size", size, NULL, false},
    {"queue_id", queue_id, NULL, false},
    {"envid", envelope_id, NULL, false},
    {"client_address", NULL, "log_client_address", false},
    {"client_helo", NULL, "log_helo_name", false},
    {"client_hostname", NULL, "log_client_name", false},
    {"client_port", NULL, "log_client_port", false},
    {"client_protocol", NULL, "log_protocol_name", false},
    {"sasl_method", NULL, "sasl_method", false},
    {"sasl_sender", NULL, "sasl_sender", false},
    {"sasl_username", NULL, "sasl_username", false},
};

static const char *lookup(void *context, struct str wanted, bool *expand_r)
{
	struct scope *s = context;
	*expand_r = false;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		const struct name *n = &names[i];
		if (!str_is(wanted, n->name))
			continue;
		s->names_recipient = s->names_recipient || n->of_recipient;
		struct str value = n->value != NULL
		    ? n->value(s)
		    : str_of(
			  queue_attribute(&s->context->delivery->envelope, n->attribute));
		const char *text = arena_cstr(arena_of(s), value);
		return text != NULL ? text : "";
	}
	buf_clear(s->unknown);
	buf_add_str(s->unknown, wanted);
	return NULL;
}

struct list {
	char **argv;
	size_t count;
};

static bool add(struct scope *s, const char *text, struct list *out, struct buf *error)
{
	CLEANUP(buf_free) struct buf value = BUF_INIT(ARGUMENT_MAX);
	bool unknown = false;
	if (!expand_text(str_of(text), lookup, s, &value, error, &unknown))
		return false;
	if (unknown) {
		buf_printf(error, "unknown macro name: \"%s\"", buf_cstr(s->unknown));
		return false;
	}
	const char *copy =
	    buf_ok(&value) ? arena_cstr(arena_of(s), buf_str(&value)) : NULL;
	if (copy == NULL || out->count == ARGUMENTS_MAX) {
		buf_add_cstr(error, "arguments are too long");
		return false;
	}
	out->argv[out->count++] = (char *)(uintptr_t)copy;
	return true;
}

/* Whether it is one for each recipient shows when it is filled in for the first. */
static bool add_for_each(
    struct scope *s, const char *text, struct list *out, struct buf *error)
{
	s->recipient = 0;
	s->names_recipient = false;
	if (!add(s, text, out, error))
		return false;
	for (size_t i = 1; s->names_recipient && i < s->context->delivery->count; i++) {
		s->recipient = i;
		if (!add(s, text, out, error))
			return false;
	}
	return true;
}

char **pipe_arguments(const struct pipe_context *c, struct buf *error)
{
	CLEANUP(buf_free) struct buf unknown = BUF_INIT(1024);
	struct scope s = {.context = c, .unknown = &unknown};
	struct list out = {.argv = arena_alloc_array(
			       c->delivery->arena, ARGUMENTS_MAX + 1, sizeof(char *))};
	if (out.argv == NULL) {
		buf_add_cstr(error, "out of memory for this request");
		return NULL;
	}
	for (char *const *word = c->argv; *word != NULL; word++)
		if (!add_for_each(&s, *word, &out, error))
			return NULL;
	return out.argv;
}
