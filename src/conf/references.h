/*
 * Names that are not parameters of a program but are used all the same: $name in a value,
 * a class from smtpd_restriction_classes, and the settings of a table that is configured
 * in main.cf ("ldap:people" reads people_server_host).
 */
#ifndef CONF_REFERENCES_H
#define CONF_REFERENCES_H

#include <stdbool.h>
#include "base/str.h"

struct references;

struct references *references_new(void);
void references_free(struct references *r); /* NULL is fine */
/* Notes what the value of `name` refers to. */
void references_add(struct references *r, struct str name, struct str value);
bool references_has(const struct references *r, struct str name);

#endif
