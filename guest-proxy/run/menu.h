/* SPDX-License-Identifier: MIT */
#pragma once
/* menu: tells the host what there is in this guest's menu, now and when that changes. */

struct log_subject;
struct run_socket;

/* Until the connection ends. */
void menu_serve(struct run_socket *socket, struct log_subject *subject);
