/* postconf -b and -t: the texts of notices, expanded or as they are written. */
#ifndef POSTCONF_TEMPLATES_H
#define POSTCONF_TEMPLATES_H

#include "conf/conf.h"

/* Prints the templates of the file `path`; NULL: of bounce_template_file. Fatal when they
 * cannot be read or expanded. */
void templates_show(struct conf *conf, const char *path, bool expanded);

#endif
