/*
 * Whatever a stranger sends as a path, an address or a list: the result is free of
 * control bytes, survives quoting, and rewriting a list with nothing leaves it as it was.
 */
#include <stddef.h>
#include <stdint.h>
#include "base/panic.h"
#include "mail/address.h"
#include "mail/address_list.h"
#include "mail/dsn.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_round_trip(struct str internal)
{
	CLEANUP(buf_free) struct buf external = BUF_INIT(2 * internal.len + 2);
	CLEANUP(buf_free) struct buf back = BUF_INIT(2 * internal.len + 2);
	address_quote(&external, internal);
	address_unquote(&back, buf_str(&external));
	ENSURE(buf_ok(&external) && buf_ok(&back));
	ENSURE(str_equal(buf_str(&back), internal));
}

static bool keep(void *context, struct str internal, UNUSED struct buf *replacement)
{
	size_t *count = context;
	ENSURE(internal.len > 0 && internal.len <= ADDRESS_MAX);
	++*count;
	return true;
}

static bool replace(
    UNUSED void *context, UNUSED struct str internal, struct buf *replacement)
{
	buf_add_cstr(replacement, "user@example.com");
	return true;
}

static void check_list(struct str text)
{
	CLEANUP(buf_free) struct buf tidy = BUF_INIT(text.len * 4 + 64);
	CLEANUP(buf_free) struct buf again = BUF_INIT(text.len * 8 + 128);
	CLEANUP(buf_free) struct buf other = BUF_INIT(text.len * 20 + 64);
	size_t count = 0;
	ENSURE(address_list_walk(text, 10000, keep, &count, &tidy) && buf_ok(&tidy));
	ENSURE(count <= text.len);
	size_t tidy_count = 0;
	ENSURE(address_list_walk(buf_str(&tidy), 100000, keep, &tidy_count, &again));
	ENSURE(tidy_count == count && str_equal(buf_str(&again), buf_str(&tidy)));
	ENSURE(address_list_walk(text, 10000, replace, NULL, &other) && buf_ok(&other));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str text = {(const char *)data, size};
	CLEANUP(buf_free) struct buf internal = BUF_INIT(ADDRESS_MAX);
	if (size == 0)
		return 0;
	struct address_path_rules rules = {.strict = (data[0] & 1) != 0,
	    .null_ok = (data[0] & 2) != 0,
	    .utf8_ok = (data[0] & 4) != 0,
	    .null_domain_ok = (data[0] & 8) != 0,
	    .numeric_domain_ok = (data[0] & 16) != 0};
	struct str rest = STR_EMPTY;
	if (address_path_parse(str_skip(text, 1), rules, &internal, &rest)) {
		ENSURE(!str_has_control(buf_str(&internal)));
		ENSURE(internal.len > 0 || rules.null_ok);
		ENSURE(address_envelope_valid(buf_str(&internal), rules));
	}
	check_round_trip(text);
	check_list(text);
	CLEANUP(buf_free) struct buf decoded = BUF_INIT(4 * size + 16);
	if (dsn_orcpt_parse(text, &decoded))
		ENSURE(!str_has_control(buf_str(&decoded)));
	return 0;
}
