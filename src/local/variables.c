/* $user, $home and others in main.cf values, and the environment of commands. What
 * strangers wrote is never expanded again, and only characters that neither a shell nor a
 * file system minds stay. */
#include <string.h>

#include "conf/expand.h"
#include "deliver/command.h"
#include "local/local.h"

struct scope {
	const struct member *member;
	const struct account *account; /* NULL: nobody's */
	const char *filter;            /* NULL: all characters may be */
	bool extension_used;
};

static struct str user(const struct scope *s)
{
	return s->member->base;
}

static struct str local_part(const struct scope *s)
{
	return s->member->name;
}

static struct str domain(const struct scope *s)
{
	struct str text = address_split(s->member->address).domain;
	return text.p != NULL ? text : STR_EMPTY;
}

static struct str recipient(const struct scope *s)
{
	return s->member->address;
}

static struct str extension(const struct scope *s)
{
	return s->member->extension;
}

static struct str delimiter(const struct scope *s)
{
	size_t at = s->member->base.len;
	return s->member->extension.len > 0 ? str_slice(s->member->name, at, at + 1)
					    : STR_EMPTY;
}

static struct str home(const struct scope *s)
{
	return s->account != NULL ? str_of(s->account->home) : STR_EMPTY;
}

static struct str shell(const struct scope *s)
{
	return s->account != NULL ? str_of(s->account->shell) : STR_EMPTY;
}

static struct str original(const struct scope *s)
{
	const struct tree *t = s->member->tree;
	const struct delivery_recipient *r = t->delivery->recipients[t->index].request;
	return r->original.len > 0 ? r->original : r->address;
}

static struct str sender(const struct scope *s)
{
	return s->member->sender;
}

static struct str envelope_id(const struct scope *s)
{
	return s->member->tree->delivery->request.envelope_id;
}

static const struct variable {
	const char *name; /* in main.cf, or NULL */
	const char *environment;
	struct str (*value)(const struct scope *s); /* NULL: an attribute of the file */
	const char *attribute;
} variables[] = {
    {"user", "USER", user, NULL},
    {"local", "LOCAL", local_part, NULL},
    {"domain", "DOMAIN", domain, NULL},
    {"recipient", "RECIPIENT", recipient, NULL},
    {"extension", "EXTENSION", extension, NULL},
    {"recipient_delimiter", NULL, delimiter, NULL},
    {"home", "HOME", home, NULL},
    {"shell", "SHELL", shell, NULL},
    {NULL, "LOGNAME", user, NULL},
    {NULL, "ORIGINAL_RECIPIENT", original, NULL},
    {NULL, "SENDER", sender, NULL},
    {NULL, "ENVID", envelope_id, NULL},
    {NULL, "CLIENT_ADDRESS", NULL, "log_client_address"},
    {NULL, "CLIENT_HELO", NULL, "log_helo_name"},
    {NULL, "CLIENT_HOSTNAME", NULL, "log_client_name"},
    {NULL, "CLIENT_PROTOCOL", NULL, "log_protocol_name"},
    {NULL, "SASL_METHOD", NULL, "sasl_method"},
    {NULL, "SASL_SENDER", NULL, "sasl_sender"},
    {NULL, "SASL_USERNAME", NULL, "sasl_username"},
};

static struct str value_of(const struct scope *s, const struct variable *v)
{
	const struct delivery *d = s->member->tree->delivery;
	return v->value != NULL ? v->value(s)
				: str_of(queue_attribute(&d->envelope, v->attribute));
}

/* In the arena; NULL without memory. */
static char *filtered(const struct scope *s, const char *before, struct str value)
{
	struct arena *a = s->member->tree->delivery->arena;
	size_t start = strlen(before);
	char *text = arena_alloc(a, start + value.len + 1);
	if (text == NULL)
		return NULL;
	memcpy(text, before, start + 1);
	for (size_t i = 0; i < value.len; i++) {
		char c = value.p[i];
		bool may_be = s->filter == NULL || strchr(s->filter, c) != NULL;
		text[start + i] = c != '\0' && may_be ? c : '_';
	}
	text[start + value.len] = '\0';
	return text;
}

static const char *lookup(void *context, struct str name, bool *expand_r)
{
	struct scope *s = context;
	*expand_r = false;
	for (size_t i = 0; i < ARRAY_SIZE(variables); i++) {
		const struct variable *v = &variables[i];
		if (v->name == NULL || !str_is(name, v->name))
			continue;
		struct str value = value_of(s, v);
		if (v->value == extension && value.len > 0)
			s->extension_used = true;
		return value.len > 0 ? filtered(s, "", value) : NULL;
	}
	return NULL;
}

bool variables_expand(const struct member *m, const struct account *account,
    const char *text, const char *filter, struct buf *out, bool *extension_used_r)
{
	CLEANUP(buf_free) struct buf error = BUF_INIT(4096);
	struct scope s = {.member = m, .account = account, .filter = filter};
	if (!expand_text(str_of(text), lookup, &s, out, &error, NULL) || !buf_ok(out))
		return false;
	if (extension_used_r != NULL)
		*extension_used_r = s.extension_used;
	return true;
}

char **variables_environment(const struct member *m, const struct account *account)
{
	struct arena *a = m->tree->delivery->arena;
	const struct scope s = {.member = m,
	    .account = account,
	    .filter = local.params.command_expansion_filter};
	char **more = arena_alloc_array(a, ARRAY_SIZE(variables) + 1, sizeof(*more));
	size_t count = 0;
	for (size_t i = 0; more != NULL && i < ARRAY_SIZE(variables); i++) {
		const struct variable *v = &variables[i];
		struct str value = value_of(&s, v);
		/* A command may rely on it: the empty sender is one too. */
		if (v->environment == NULL || (value.len == 0 && v->value != sender))
			continue;
		const char *name = arena_printf(a, "%s=", v->environment);
		more[count] = name != NULL ? filtered(&s, name, value) : NULL;
		if (more[count++] == NULL)
			return NULL;
	}
	return more == NULL
	    ? NULL
	    : command_environment(a, service_common()->export_environment, more);
}
