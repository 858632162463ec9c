"""Filters of piXedfit 1.0: its names, the curves they are here, its central wavelengths.

Names and central wavelengths are the header cards of the library that piXedfit ships
(``data/filters/filters.fits``: ``FILn``, ``cw_<name>``; names of its later JWST and HST filters
are from its documentation's examples).
"""

SERVED = """
hst_acs_f435w acs_wfc_f435w 4317.9
hst_acs_f475w acs_wfc_f475w 4745.3
hst_acs_f555w acs_wfc_f555w 5360.1
hst_acs_f606w acs_wfc_f606w 5919.4
hst_acs_f625w acs_wfc_f625w 6309.21
hst_acs_f775w acs_wfc_f775w 7693.3
hst_acs_f814w acs_wfc_f814w 8059.9
hst_acs_f850lp acs_wfc_f850lp 9036.4
hst_wfpc3_f105w wfc3_ir_f105w 10545.0
hst_wfpc3_f125w wfc3_ir_f125w 12471.0
hst_wfpc3_f140w wfc3_ir_f140w 13924.0
hst_wfpc3_f160w wfc3_ir_f160w 15396.0
hst_wfpc3_f225w wfc3_uvis_f225w 2370.7
hst_wfpc3_f275w wfc3_uvis_f275w 2708.6
hst_wfpc3_f336w wfc3_uvis_f336w 3353.7
hst_wfpc3_f390w wfc3_uvis_f390w 3921.9
hst_wfpc3_f475w wfc3_uvis_f475w 4771.5
hst_wfpc3_f555w wfc3_uvis_f555w 5308.6
hst_wfpc3_f606w wfc3_uvis_f606w 5892.5
hst_wfpc3_f814w wfc3_uvis_f814w 8059.5
hst_wfc3_ir_f105w wfc3_ir_f105w 10530.87
hst_wfc3_ir_f110w wfc3_ir_f110w 11515.07
hst_wfc3_ir_f125w wfc3_ir_f125w 12495.71
hst_wfc3_ir_f140w wfc3_ir_f140w 13976.13
hst_wfc3_ir_f160w wfc3_ir_f160w 15433.07
hst_wfc3_uvis_f225w wfc3_uvis_f225w 2370.7
hst_wfc3_uvis_f275w wfc3_uvis_f275w 2708.6
hst_wfc3_uvis_f336w wfc3_uvis_f336w 3353.7
hst_wfc3_uvis_f390w wfc3_uvis_f390w 3921.9
galex_fuv galex_FUV 1516.0
galex_nuv galex_NUV 2267.0
sdss_g sdss_g0 4686.0
sdss_r sdss_r0 6166.0
sdss_i sdss_i0 7480.0
sdss_z sdss_z0 8932.0
2mass_j twomass_J 12358.0
2mass_h twomass_H 16458.0
2mass_k twomass_Ks 21603.0
spitzer_irac_36 spitzer_irac_ch1 35569.0
spitzer_irac_45 spitzer_irac_ch2 45020.0
spitzer_irac_58 spitzer_irac_ch3 57450.0
spitzer_irac_80 spitzer_irac_ch4 79158.0
spitzer_mips_24 spitzer_mips_24 232096.0
spitzer_mips_70 spitzer_mips_70 684447.6
spitzer_mips_160 spitzer_mips_160 1525902.3
cfht_mega_u cfht_megacam_us_9301 3828.0
cfht_mega_g cfht_megacam_gs_9401 4869.9
cfht_mega_r cfht_megacam_rs_9601 6244.8
cfht_mega_i cfht_megacam_is_9701 7675.6
cfht_mega_z cfht_megacam_zs_9801 8871.9
cfht_wircam_j cfht_wircam_J_8101 12530.0
cfht_wircam_h cfht_wircam_H_8201 16294.0
cfht_wircam_ks cfht_wircam_Ks_8302 21574.0
subaru_ia427 subaru_suprimecam_ia427 4260.0
subaru_ia445 subaru_suprimecam_ia445 4442.7
subaru_ia464 subaru_suprimecam_ia464 4633.3
subaru_ia484 subaru_suprimecam_ia484 4847.3
subaru_ia505 subaru_suprimecam_ia505 5060.8
subaru_ia527 subaru_suprimecam_ia527 5259.3
subaru_ia550 subaru_suprimecam_ia550 5495.0
subaru_ia574 subaru_suprimecam_ia574 5762.9
subaru_ia598 subaru_suprimecam_ia598 6007.1
subaru_ia624 subaru_suprimecam_ia624 6230.8
subaru_ia651 subaru_suprimecam_ia651 6498.4
subaru_ia679 subaru_suprimecam_ia679 6781.6
subaru_ia709 subaru_suprimecam_ia709 7073.5
subaru_ia738 subaru_suprimecam_ia738 7359.5
subaru_ia768 subaru_suprimecam_ia767 7680.4
subaru_ia797 subaru_suprimecam_ia797 7966.2
subaru_ia827 subaru_suprimecam_ia827 8246.8
subaru_ia856 subaru_suprimecam_ia856 8564.8
subaru_B subaru_suprimecam_B 4478.0
subaru_V subaru_suprimecam_V 5493.0
subaru_Rc subaru_suprimecam_Rc 6550.0
subaru_r subaru_suprimecam_rp 6315.0
subaru_i subaru_suprimecam_ip 7709.0
subaru_z subaru_suprimecam_zp 9054.0
subaru_moircs_Ks subaru_moircs_Ks 21500.0
wfi_u38 mpgeso_wfi_U38_eso841 3636.9
wfi_b mpgeso_wfi_B_eso842 4562.52
wfi_v mpgeso_wfi_V_eso843 5395.62
wfi_rc mpgeso_wfi_Rc_eso844 6517.25
vlt_j vlt_isaac_J 12356.0
vlt_h vlt_isaac_H 16496.0
vlt_ks vlt_isaac_Ks 21667.0
vlt_u vlt_vimos_U 3749.5
jwst_f070w jwst_f070w 7040.0
jwst_f090w jwst_f090w 9020.0
jwst_f115w jwst_f115w 11540.0
jwst_f140m jwst_f140m 14050.0
jwst_f150w jwst_f150w 15010.0
jwst_f162m jwst_f162m 16270.0
jwst_f182m jwst_f182m 18450.0
jwst_f200w jwst_f200w 19890.0
jwst_f210m jwst_f210m 20950.0
jwst_f250m jwst_f250m 25030.0
jwst_f277w jwst_f277w 27620.0
jwst_f300m jwst_f300m 29890.0
jwst_f335m jwst_f335m 33620.0
jwst_f356w jwst_f356w 35680.0
jwst_f360m jwst_f360m 36240.0
jwst_f410m jwst_f410m 40820.0
jwst_f430m jwst_f430m 42810.0
jwst_f444w jwst_f444w 44080.0
jwst_f460m jwst_f460m 46300.0
jwst_f480m jwst_f480m 48740.0
jwst_nircam_f090w jwst_f090w 9020.0
jwst_nircam_f140m jwst_f140m 14050.0
jwst_nircam_f200w jwst_f200w 19890.0
jwst_nircam_f444w jwst_f444w 44080.0
jwst_miri_f560w jwst_f560w 56352.57
jwst_miri_f770w jwst_f770w 76393.24
jwst_miri_f1000w jwst_f1000w 99531.16
jwst_miri_f1130w jwst_f1130w 113085.01
jwst_miri_f1280w jwst_f1280w 128101.37
jwst_miri_f1500w jwst_f1500w 150635.07
jwst_miri_f1800w jwst_f1800w 179837.23
jwst_miri_f2100w jwst_f2100w 207950.06
jwst_miri_f2550w jwst_f2550w 253640.04
hsc_g hsc_g 4754.0
hsc_r hsc_r 6175.0
hsc_i hsc_i 7711.0
hsc_z hsc_z 8898.0
hsc_y hsc_y 9762.0
wise_w1 wise_w1 33526.0
wise_w2 wise_w2 46028.0
wise_w3 wise_w3 115608.0
wise_w4 wise_w4 220883.0
lsst_u lsst_baseline_u 3732.5
lsst_g lsst_baseline_g 4730.0
lsst_r lsst_baseline_r 6138.8
lsst_i lsst_baseline_i 7487.4
lsst_z lsst_baseline_z 8668.8
lsst_y lsst_baseline_y 9676.7
herschel_pacs_70 herschel_pacs_70 689247.4
herschel_pacs_100 herschel_pacs_100 979036.1
herschel_pacs_160 herschel_pacs_160 1539451.3
herschel_spire_250 herschel_spire_250 2471245.1
herschel_spire_350 herschel_spire_350 3467180.4
herschel_spire_500 herschel_spire_500 4961067.7
newfirm_j1 mayall_newfirm_J1 10460.0
newfirm_j2 mayall_newfirm_J2 11946.0
newfirm_j3 mayall_newfirm_J3 12778.0
newfirm_h1 mayall_newfirm_H1 15601.0
newfirm_h2 mayall_newfirm_H2 17064.0
newfirm_k mayall_newfirm_K 21684.0
wfcam_j ukirt_wfcam_J 12483.0
wfcam_h ukirt_wfcam_H 16313.0
wfcam_k ukirt_wfcam_K 22010.0
vircam_z vista_vircam_Z 8770.0
vircam_y vista_vircam_Y 10200.0
vircam_j vista_vircam_J 12520.0
vircam_h vista_vircam_H 16450.0
vircam_ks vista_vircam_Ks 21470.0
wfirst_wfi_z087 roman_wfi_f087 8692.25
wfirst_wfi_y106 roman_wfi_f106 10593.39
wfirst_wfi_j129 roman_wfi_f129 12926.25
wfirst_wfi_w146 roman_wfi_f146 14637.98
wfirst_wfi_h158 roman_wfi_f158 15775.35
wfirst_wfi_f184 roman_wfi_f184 18418.59
"""
"""piXedfit's name, the curve of sedpy, piXedfit's central wavelength [Angstrom]."""

EUCLID = """
euclid_vis Euclid-VIS 7150.0
euclid_y Euclid-Y 10850.0
euclid_j Euclid-J 13750.0
euclid_h Euclid-H 17725.0
"""
"""The same for curves of speclite."""

ABSENT = """
hst_nicmos_f110w hst_nicmos_f160w hst_wfpc2_f300w hst_wfpc2_f336w hst_wfpc2_f450w
hst_wfpc2_f555w hst_wfpc2_f606w hst_wfpc2_f702w hst_wfpc2_f814w hst_wfpc2_f850lp hst_wfpc3_f218w
hst_wfpc3_f438w hst_wfpc3_f625w hst_wfpc3_f775w hst_wfc3_uvis_f350lp hst_wfc3_uvis2_f225w
hst_wfc3_uvis2_f275w hst_wfc3_uvis2_f336w subaru_ia907 subaru_Ic subaru_g subaru_Y subaru_nb711
subaru_nb816 subaru_nb921 wfi_i akari_n60 akari_wide_s akari_wide_l akari_n160 hsc_nb816
hsc_nb921 hsc_nb387 hsc_nb1010 wfcam_z wfcam_y alma_band4 alma_band6 alma_b6_1140 alma_b6_1199
alma_b5_1288 alma_b3_2945 JPAS_uJava JPAS_J0660 JPAS_gSDSS JPAS_rSDSS JPAS_iSDSS
"""
"""Names whose curves no package has (60 of JPAS, five named here); docs/filters.md lists them."""


def table(text):
    """Return (name, curve, central wavelength) of each line."""
    rows = [line.split() for line in text.split("\n") if line]
    return [(name, curve, float(wave)) for name, curve, wave in rows]
