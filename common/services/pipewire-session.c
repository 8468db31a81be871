/* SPDX-License-Identifier: MIT */
/* pipewire-session: owns nothing; who has made it does. */
#include "common/services/pipewire-session.h"

int pipewire_malformed(const struct service_helper *h)
{
    return helper_fail(h->sink, "pipewire: a message that is not what it has to be");
}
