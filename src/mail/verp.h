/* Variable envelope return paths: the recipient stands in the sender, so that a notice
 * says whom it is about. */
#ifndef MAIL_VERP_H
#define MAIL_VERP_H

#include "base/buf.h"

/* bob@lab.test, x@far.test and "+=" give bob+x=far.test@lab.test. `delimiters` has two
 * characters; internal forms. */
void verp_sender(
    struct buf *out, struct str delimiters, struct str sender, struct str recipient);

#endif
