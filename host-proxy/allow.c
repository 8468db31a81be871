/* SPDX-License-Identifier: MIT */
/* Which interfaces a VM's clients may see: what is denied is hidden, then what is allowed is shown,
 * then the list below decides. An interface that nobody has thought of is hidden. */
#include "host-proxy/allow.h"

#include <fnmatch.h>
#include <stddef.h>
#include <string.h>

#include "host-proxy/config.h"

/* What applications need to show windows and take input, and nothing by which one could watch,
 * imitate or disturb the rest of the desktop. Not here, so hidden, are above all: screen capture
 * and export, virtual keyboards and pointers, input methods, layer-shell, session-lock,
 * data-control, output and gamma management, the lists of other programs' windows, idle
 * notification, drm-lease, security-context, and the grabbing of shortcuts. */
static const char *const allowed[] = {
    "ext_background_effect_manager_v1",
    "gtk_primary_selection_device_manager",
    "org_kde_kwin_server_decoration_manager",
    "wl_compositor",
    "wl_data_device_manager",
    "wl_fixes",
    "wl_output",
    "wl_seat",
    "wl_shell",
    "wl_shm",
    "wl_subcompositor",
    "wp_alpha_modifier_v1",
    "wp_color_manager_v1",
    "wp_color_representation_manager_v1",
    "wp_commit_timing_manager_v1",
    "wp_content_type_manager_v1",
    "wp_cursor_shape_manager_v1",
    "wp_fifo_manager_v1",
    "wp_fractional_scale_manager_v1",
    "wp_pointer_warp_v1",
    "wp_presentation",
    "wp_single_pixel_buffer_manager_v1",
    "wp_tearing_control_manager_v1",
    "wp_viewporter",
    "xdg_activation_v1",
    "xdg_session_manager_v1",
    "xdg_system_bell_v1",
    "xdg_toplevel_drag_manager_v1",
    "xdg_toplevel_icon_manager_v1",
    "xdg_toplevel_tag_manager_v1",
    "xdg_wm_base",
    "xdg_wm_dialog_v1",
    "zwp_idle_inhibit_manager_v1",
    "zwp_input_timestamps_manager_v1",
    "zwp_pointer_constraints_v1",
    "zwp_pointer_gestures_v1",
    "zwp_primary_selection_device_manager_v1",
    "zwp_relative_pointer_manager_v1",
    "zwp_tablet_manager_v1",
    "zwp_tablet_manager_v2",
    "zwp_text_input_manager_v1",
    "zwp_text_input_manager_v3",
    "zxdg_decoration_manager_v1",
    "zxdg_exporter_v1",
    "zxdg_exporter_v2",
    "zxdg_importer_v1",
    "zxdg_importer_v2",
    "zxdg_output_manager_v1",
    "zxdg_shell_v6",
};

static bool matches(char *const *globs, const char *interface)
{
    for (; globs && *globs; globs++)
        if (fnmatch(*globs, interface, 0) == 0)
            return true;
    return false;
}

bool allow_global(const struct vm_config *vm, const char *interface)
{
    if (matches(vm->deny, interface))
        return false;
    if (matches(vm->allow, interface))
        return true;
    for (size_t i = 0; i < sizeof(allowed) / sizeof(*allowed); i++)
        if (strcmp(allowed[i], interface) == 0)
            return true;
    return false;
}

bool allow_by_hand(const struct vm_config *vm, const char *interface)
{
    return matches(vm->allow, interface) && !matches(vm->deny, interface);
}
