#include "conf/expand_function.h"

#include "conf/unicode.h"

#define DOMAIN_MAX 1024

static bool domain_to_ascii(struct str argument, struct buf *out, struct buf *error)
{
	if (str_is_ascii(argument)) {
		buf_add_str(out, argument);
		return true;
	}
	if (argument.len > DOMAIN_MAX) {
		buf_add_cstr(error, "domain_to_ascii: domain name too long");
		return false;
	}
	UErrorCode status = U_ZERO_ERROR;
	UIDNAInfo info = UIDNA_INFO_INITIALIZER;
	char result[DOMAIN_MAX];
	const struct unicode *icu = unicode_library();
	UIDNA *idna = icu->idna_open(UIDNA_NONTRANSITIONAL_TO_ASCII, &status);
	int32_t len = icu->idna_to_ascii(idna, argument.p, (int32_t)argument.len, result,
	    (int32_t)sizeof(result), &info, &status);
	icu->idna_close(idna);
	if (U_FAILURE(status) || info.errors != 0 || len < 0 ||
	    (size_t)len > sizeof(result)) {
		buf_printf(error, "domain_to_ascii: bad domain name: \"%.*s\"",
		    STR_ARG(argument));
		return false;
	}
	buf_add(out, result, (size_t)len);
	return true;
}

expand_function *expand_function_find(struct str name)
{
	return str_is(name, "domain_to_ascii") ? domain_to_ascii : NULL;
}
