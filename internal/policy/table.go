package policy

// Ways to be assigned.
var (
	assign       = Assign{Action: "assign", Param: "assignments"}
	assignGroups = Assign{Action: "assign", Param: "assignments", GroupsOnly: true}
	// observed: GET {script}/assignments is refused with 400, $expand works.
	assignScript = Assign{Action: "assign", Param: "deviceManagementScriptAssignments", Expand: true}
)

// docs: settings are read in pages of 25.
var catalogSettings = Part{Key: "settings", Read: ByPath}

// docs: targetApps takes the apps and the app group. observed: it answers 400 without
// apps.
var (
	targetApps        = Part{Key: "apps", Read: ByPath, Create: ByAction, Update: ByAction, Action: "targetApps", Param: "apps", With: []string{"appGroupType"}}
	targetAppsWindows = Part{Key: "apps", Read: ByPath, Create: ByAction, Update: ByAction, Action: "targetApps", Param: "apps"}
)

var (
	// docs: no type derives from that of the apps, so that only full metadata names it.
	protectionStrip   = []string{"deployedAppCount", "deploymentSummary", "apps[].id", "apps[].version", "apps[].@odata.type"}
	protectedApps     = Set{"apps", "mobileAppIdentifier.bundleId+mobileAppIdentifier.packageId+mobileAppIdentifier.windowsAppId"}
	scriptStrip       = []string{"deviceRunStates", "userRunStates", "runSummary", "groupAssignments"}
	healthScriptStrip = []string{"deviceRunStates", "runSummary"}
)

// Reasons why a type is not restored.
const (
	notRestored  = "Interlock backs this type up and does not restore it"
	noContent    = "Microsoft returns the file's name and not its content"
	legacyIntent = "endpoint security of the old form can't be created again: Microsoft moved it to the settings catalog"
)

// table holds all types of policy. Lists of conditional access have whole objects (docs),
// and Microsoft takes one call for it a second.
var table = []*Type{
	{
		Key: "roleScopeTags", Singular: "Scope tag", Plural: "Scope tags",
		Version: "beta", Path: "deviceManagement/roleScopeTags", Entity: "#microsoft.graph.roleScopeTag", Name: "displayName", Order: 10,
		Strip:   []string{"isBuiltIn", "permissions"},
		BuiltIn: BuiltIn{Property: "isBuiltIn", ID: "0"}, // docs: Default, in every tenant
	},
	{
		Key: "assignmentFilters", Singular: "Assignment filter", Plural: "Assignment filters",
		Version: "beta", Path: "deviceManagement/assignmentFilters", Entity: "#microsoft.graph.deviceAndAppManagementAssignmentFilter", Name: "displayName", Order: 15,
		Strip:     []string{"payloads"},
		Immutable: []string{"platform"},
		Refs:      []Ref{{Path: "roleScopeTags[]", Kind: ScopeTags}},
	},
	{
		Key: "roleDefinitions", Singular: "Role definition", Plural: "Role definitions",
		Version: "beta", Path: "deviceManagement/roleDefinitions", Entity: "#microsoft.graph.roleDefinition", Name: "displayName", Order: 20,
		Aliases: []string{"#microsoft.graph.deviceAndAppManagementRoleDefinition"}, // docs: derived, without properties of its own
		// docs: permissions and actions are deprecated forms of rolePermissions.
		Strip:    []string{"permissions", "rolePermissions[].actions", "isBuiltIn", "isBuiltInRoleDefinition", "roleAssignments"},
		Sets:     []Set{{Path: "rolePermissions[].resourceActions[].allowedResourceActions"}, {Path: "rolePermissions[].resourceActions[].notAllowedResourceActions"}},
		BuiltIn:  BuiltIn{Property: "isBuiltIn"},
		Refs:     scopeTags,
		Required: []Required{{Path: "rolePermissions", Why: "it has no rolePermissions, the only form of permissions that Microsoft still takes"}},
	},
	{
		Key: "managementConditions", Singular: "Location", Plural: "Locations",
		Version: "beta", Path: "deviceManagement/managementConditions", Name: "displayName", Order: 30, Backup: notRestored,
	},
	{
		Key: "notificationMessageTemplates", Singular: "Notification template", Plural: "Notification templates",
		Version: "beta", Path: "deviceManagement/notificationMessageTemplates", Entity: "#microsoft.graph.notificationMessageTemplate", Name: "displayName", Order: 40,
		Parts: []Part{{Key: "localizedNotificationMessages", Read: ByPath, Create: OneByOne, Update: OneByOne}},
		// observed: a create with description or defaultLocale is refused.
		Strip: []string{"defaultLocale", "description", "localizedNotificationMessages[].id", "localizedNotificationMessages[].lastModifiedDateTime"},
		Sets:  []Set{{"localizedNotificationMessages", "locale"}},
		Refs:  scopeTags,
	},
	{
		Key: "groupPolicyUploadedDefinitionFiles", Singular: "Imported ADMX file", Plural: "Imported ADMX files",
		Version: "beta", Path: "deviceManagement/groupPolicyUploadedDefinitionFiles", Name: "fileName", Order: 45, Backup: noContent,
	},
	{
		Key: "authenticationStrengths", Singular: "Authentication strength", Plural: "Authentication strengths",
		Version: "v1.0", Path: "identity/conditionalAccess/authenticationStrength/policies", Whole: true, Entity: "#microsoft.graph.authenticationStrengthPolicy", Name: "displayName", Order: 45,
		// docs: a PATCH changes name and description only.
		Parts: []Part{
			{Key: "allowedCombinations", Update: ByAction, Action: "updateAllowedCombinations", Param: "allowedCombinations"},
			{Key: "combinationConfigurations", Read: ByPath, Create: OneByOne, Update: OneByOne},
		},
		Strip:   []string{"policyType", "requirementsSatisfied", "combinationConfigurations[].id"},
		Sets:    []Set{{Path: "allowedCombinations"}, {Path: "combinationConfigurations[].appliesToCombinations"}, {"combinationConfigurations", "@odata.type+appliesToCombinations"}},
		BuiltIn: BuiltIn{Property: "policyType"},
	},
	{
		Key: "authenticationContexts", Singular: "Authentication context", Plural: "Authentication contexts",
		Version: "v1.0", Path: "identity/conditionalAccess/authenticationContextClassReferences", Whole: true, Name: "displayName", Order: 46, Backup: notRestored,
	},
	{
		Key: "namedLocations", Singular: "Named location", Plural: "Named locations",
		Version: "v1.0", Path: "identity/conditionalAccess/namedLocations", Whole: true, Name: "displayName", Order: 50,
		OnlyFor: map[string]string{"isTrusted": "#microsoft.graph.ipNamedLocation"}, // observed
		Sets:    []Set{{Path: "countriesAndRegions"}, {"ipRanges", "cidrAddress"}},
		Required: []Required{
			{Path: "@odata.type", Why: "it does not say which kind of location it is"},
			// observed: a country location without it is refused.
			{For: "#microsoft.graph.countryNamedLocation", Path: "countryLookupMethod", Why: "it does not say how a country is found (countryLookupMethod)"},
		},
		Deleted: DeletedItem{"beta", "identity/conditionalAccess/deletedItems/namedLocations"},
	},
	{
		Key: "reusablePolicySettings", Singular: "Reusable setting", Plural: "Reusable settings",
		Version: "beta", Path: "deviceManagement/reusablePolicySettings", Entity: "#microsoft.graph.deviceManagementReusablePolicySetting", Name: "displayName", Order: 70,
		Settings: true,
		Strip:    []string{"referencingConfigurationPolicyCount", "referencingConfigurationPolicies"},
	},
	{
		Key: "deviceComplianceScripts", Singular: "Compliance script", Plural: "Compliance scripts",
		Version: "beta", Path: "deviceManagement/deviceComplianceScripts", Entity: "#microsoft.graph.deviceComplianceScript", Name: "displayName", Order: 80,
		// observed: assign is refused. Compliance policies refer to the script instead.
		Strip: healthScriptStrip,
		Refs:  scopeTags,
	},
	{
		Key: "configurationPolicies", Singular: "Settings catalog policy", Plural: "Settings catalog",
		Version: "beta", Path: "deviceManagement/configurationPolicies", Entity: "#microsoft.graph.deviceManagementConfigurationPolicy", Name: "name", Order: 100,
		Parts: []Part{catalogSettings}, Assign: assign, Settings: true,
		// observed: a PATCH with settings is refused, and a PUT without them wipes them.
		Replace:   true,
		Strip:     []string{"settingCount", "creationSource", "templateReference.templateDisplayName", "templateReference.templateDisplayVersion"},
		Immutable: []string{"templateReference.templateId"},
		Refs:      scopeTags,
		Required:  []Required{{Path: "settings", Why: "it has no settings, and a write would wipe those that are there"}},
	},
	{
		Key: "deviceConfigurations", Singular: "Device configuration", Plural: "Device configurations",
		Version: "beta", Path: "deviceManagement/deviceConfigurations", Name: "displayName", Order: 100,
		Assign: assign,
		Strip: []string{
			"privacyAccessControls", "deviceSettingStateSummaries", "deviceStatuses", "deviceStatusOverview", "groupAssignments", "userStatuses", "userStatusOverview",
			// The state of an update ring, such as a pause.
			"qualityUpdatesPauseStartDate", "featureUpdatesPauseStartDate", "qualityUpdatesPauseExpiryDateTime", "featureUpdatesPauseExpiryDateTime",
			"qualityUpdatesWillBeRolledBack", "featureUpdatesWillBeRolledBack", "qualityUpdatesRollbackStartDateTime", "featureUpdatesRollbackStartDateTime",
		},
		Refs:     scopeTags,
		Required: polymorphic,
	},
	{
		Key: "deviceCompliancePolicies", Singular: "Compliance policy", Plural: "Compliance policies",
		Version: "beta", Path: "deviceManagement/deviceCompliancePolicies", Name: "displayName", Order: 100,
		// observed: a PATCH with scheduledActionsForRule is refused, and it can be read with $expand only.
		Parts: []Part{{
			Key: "scheduledActionsForRule", Read: ByExpand, Expand: "scheduledActionsForRule($expand=scheduledActionConfigurations)",
			Update: ByAction, Action: "scheduleActionsForRules", Param: "deviceComplianceScheduledActionForRules",
		}},
		Assign: assign,
		Strip: []string{
			"deviceSettingStateSummaries", "deviceStatuses", "deviceStatusOverview", "userStatuses", "userStatusOverview",
			"scheduledActionsForRule[].id", "scheduledActionsForRule[].scheduledActionConfigurations[].id",
		},
		Sets: []Set{
			{"scheduledActionsForRule[].scheduledActionConfigurations", "actionType+gracePeriodHours"},
			{Path: "scheduledActionsForRule[].scheduledActionConfigurations[].notificationMessageCCList"},
		},
		Refs: append([]Ref{
			{Path: "scheduledActionsForRule[].scheduledActionConfigurations[].notificationTemplateId", Kind: NotificationTemplates, Words: []string{noID}},
			{Path: "scheduledActionsForRule[].scheduledActionConfigurations[].notificationMessageCCList[]", Kind: Groups},
			{Path: "deviceCompliancePolicyScript.deviceComplianceScriptId", Kind: ComplianceScripts, Words: []string{noID}},
		}, scopeTags...),
		Required: polymorphic,
	},
	{
		Key: "compliancePolicies", Singular: "Compliance policy for Linux", Plural: "Compliance policies for Linux",
		Version: "beta", Path: "deviceManagement/compliancePolicies", Entity: "#microsoft.graph.deviceManagementCompliancePolicy", Name: "name", Order: 100,
		Parts: []Part{
			catalogSettings,
			{
				Key: "scheduledActionsForRule", Read: ByExpand, Expand: "scheduledActionsForRule($expand=scheduledActionConfigurations)",
				Update: ByAction, Action: "setScheduledActions", Param: "scheduledActions", // docs
			},
		},
		Assign: assign, Settings: true, Replace: true,
		Strip: []string{"settingCount", "creationSource", "scheduledActionsForRule[].id", "scheduledActionsForRule[].scheduledActionConfigurations[].id"},
		Sets:  []Set{{"scheduledActionsForRule[].scheduledActionConfigurations", "actionType+gracePeriodHours"}},
		Refs: append([]Ref{
			{Path: "scheduledActionsForRule[].scheduledActionConfigurations[].notificationTemplateId", Kind: NotificationTemplates, Words: []string{noID}},
			{Path: "scheduledActionsForRule[].scheduledActionConfigurations[].notificationMessageCCList[]", Kind: Groups},
		}, scopeTags...),
		Required: []Required{{Path: "settings", Why: "it has no settings, and a write would wipe those that are there"}},
	},
	{
		Key: "groupPolicyConfigurations", Singular: "Administrative template", Plural: "Administrative templates",
		Version: "beta", Path: "deviceManagement/groupPolicyConfigurations", Entity: "#microsoft.graph.groupPolicyConfiguration", Name: "displayName", Order: 100,
		// observed: $expand reaches one level only, so presentation values are read for each value.
		Parts: []Part{{
			Key: "definitionValues", Read: ByPath, Expand: "definition", Each: &Part{Key: "presentationValues", Read: ByPath, Expand: "presentation"},
			Create: ByDelta, Update: ByDelta, Action: "updateDefinitionValues",
		}},
		Assign: assign,
		Strip: []string{
			"policyConfigurationIngestionType", "definitionValues[].id", "definitionValues[].createdDateTime", "definitionValues[].lastModifiedDateTime",
			"definitionValues[].presentationValues[].id", "definitionValues[].presentationValues[].createdDateTime", "definitionValues[].presentationValues[].lastModifiedDateTime",
		},
		Only:     map[string][]string{"definitionValues[].definition": {"id"}, "definitionValues[].presentationValues[].presentation": {"id"}},
		Sets:     []Set{{"definitionValues", "definition.id"}, {"definitionValues[].presentationValues", "presentation.id"}},
		Refs:     scopeTags,
		Switches: []string{"definitionValues[].enabled"},
	},
	{
		Key: "intents", Singular: "Endpoint security policy (legacy)", Plural: "Endpoint security (legacy)",
		Version: "beta", Path: "deviceManagement/intents", Entity: "#microsoft.graph.deviceManagementIntent", Name: "displayName", Order: 100,
		Parts: []Part{{Key: "settings", Read: ByPath}}, Assign: assign, Backup: legacyIntent,
		Refs: scopeTags,
	},
	{
		Key: "deviceManagementScripts", Singular: "Windows script", Plural: "Windows scripts",
		Version: "beta", Path: "deviceManagement/deviceManagementScripts", Entity: "#microsoft.graph.deviceManagementScript", Name: "displayName", Order: 110,
		Assign: assignScript, Strip: scriptStrip, Refs: scopeTags, Required: scriptContent,
	},
	{
		Key: "deviceShellScripts", Singular: "macOS script", Plural: "macOS scripts",
		Version: "beta", Path: "deviceManagement/deviceShellScripts", Entity: "#microsoft.graph.deviceShellScript", Name: "displayName", Order: 110,
		Assign: assignScript, Strip: scriptStrip, Refs: scopeTags, Required: scriptContent,
	},
	{
		Key: "deviceCustomAttributeShellScripts", Singular: "macOS custom attribute", Plural: "macOS custom attributes",
		Version: "beta", Path: "deviceManagement/deviceCustomAttributeShellScripts", Entity: "#microsoft.graph.deviceCustomAttributeShellScript", Name: "displayName", Order: 110,
		Assign: assignScript, Strip: scriptStrip, Refs: scopeTags, Required: scriptContent,
		Immutable: []string{"customAttributeName", "customAttributeType", "displayName"}, // observed
	},
	{
		Key: "deviceHealthScripts", Singular: "Remediation", Plural: "Remediations",
		Version: "beta", Path: "deviceManagement/deviceHealthScripts", Entity: "#microsoft.graph.deviceHealthScript", Name: "displayName", Order: 110,
		// An assignment also says when the script runs and whether it remediates.
		Assign:   Assign{Action: "assign", Param: "deviceHealthScriptAssignments", Keep: []string{"runRemediationScript", "runSchedule"}, Expand: true},
		Strip:    append([]string{"isGlobalScript", "highestAvailableVersion"}, healthScriptStrip...),
		Refs:     scopeTags,
		BuiltIn:  BuiltIn{Property: "isGlobalScript"}, // made by Microsoft
		Required: []Required{{Path: "detectionScriptContent", Why: "it has no script: lists leave the content out"}},
	},
	{
		Key: "iosManagedAppProtections", Singular: "App protection policy for iOS", Plural: "App protection for iOS",
		Version: "beta", Path: "deviceAppManagement/iosManagedAppProtections", Entity: "#microsoft.graph.iosManagedAppProtection", Name: "displayName", Order: 120,
		Parts: []Part{targetApps}, Assign: assignGroups, Strip: protectionStrip, Sets: []Set{protectedApps, {"exemptedAppProtocols", "name"}}, Refs: scopeTags,
	},
	{
		Key: "androidManagedAppProtections", Singular: "App protection policy for Android", Plural: "App protection for Android",
		Version: "beta", Path: "deviceAppManagement/androidManagedAppProtections", Entity: "#microsoft.graph.androidManagedAppProtection", Name: "displayName", Order: 120,
		Parts: []Part{targetApps}, Assign: assignGroups, Strip: protectionStrip, Sets: []Set{protectedApps, {"exemptedAppPackages", "name"}}, Refs: scopeTags,
	},
	{
		Key: "windowsManagedAppProtections", Singular: "App protection policy for Windows", Plural: "App protection for Windows",
		Version: "beta", Path: "deviceAppManagement/windowsManagedAppProtections", Entity: "#microsoft.graph.windowsManagedAppProtection", Name: "displayName", Order: 120,
		Parts: []Part{targetAppsWindows}, Assign: assignGroups, Strip: protectionStrip, Sets: []Set{protectedApps}, Refs: scopeTags,
	},
	{
		Key: "targetedManagedAppConfigurations", Singular: "App configuration policy for managed apps", Plural: "App configuration for managed apps",
		Version: "beta", Path: "deviceAppManagement/targetedManagedAppConfigurations", Entity: "#microsoft.graph.targetedManagedAppConfiguration", Name: "displayName", Order: 120,
		Parts: []Part{
			targetApps,
			{Key: "settings", Read: ByPath, Update: ByAction, Action: "changeSettings", Param: "settings"}, // docs
		},
		Assign: assignGroups, Settings: true, Strip: protectionStrip, Sets: []Set{protectedApps, {"customSettings", "name"}}, Refs: scopeTags,
	},
	{
		Key: "mobileAppConfigurations", Singular: "App configuration policy for devices", Plural: "App configuration for devices",
		Version: "beta", Path: "deviceAppManagement/mobileAppConfigurations", Name: "displayName", Order: 120,
		Assign:   assign,
		Strip:    []string{"appSupportsOemConfig", "deviceStatuses", "deviceStatusSummary", "userStatuses", "userStatusSummary"},
		Sets:     []Set{{Path: "targetedMobileApps"}},
		Refs:     append([]Ref{{Path: "targetedMobileApps[]", Kind: MobileApps}}, scopeTags...),
		Required: polymorphic,
	},
	{
		Key: "windowsAutopilotDeploymentProfiles", Singular: "Autopilot profile", Plural: "Autopilot profiles",
		Version: "beta", Path: "deviceManagement/windowsAutopilotDeploymentProfiles", Name: "displayName", Order: 130,
		Assign: Assign{Action: "assignments"}, // observed: there is no assign action
		Strip:  []string{"managementServiceAppId", "assignedDevices"},
		// docs: the deprecated properties are read-only.
		Superseded: map[string]string{
			"enableWhiteGlove": "preprovisioningAllowed", "extractHardwareHash": "hardwareHashExtractionEnabled",
			"language": "locale", "outOfBoxExperienceSettings": "outOfBoxExperienceSetting",
		},
		Refs:     scopeTags,
		Required: polymorphic,
	},
	{
		Key: "deviceEnrollmentConfigurations", Singular: "Enrollment configuration", Plural: "Enrollment configurations",
		Version: "beta", Path: "deviceManagement/deviceEnrollmentConfigurations", Name: "displayName", Order: 130,
		Parts:    []Part{{Key: "priority", Create: ByAction, Update: ByAction, Action: "setPriority", Param: "priority"}},
		Assign:   Assign{Action: "assign", Param: "enrollmentConfigurationAssignments"},
		Strip:    []string{"deviceEnrollmentConfigurationType"}, // @odata.type says the same
		Sets:     []Set{{Path: "selectedMobileAppIds"}},
		Refs:     append([]Ref{{Path: "selectedMobileAppIds[]", Kind: MobileApps}}, scopeTags...),
		BuiltIn:  BuiltIn{Suffix: "_Default", Update: true},
		Required: polymorphic,
		Subtypes: []Subtype{
			{"#microsoft.graph.deviceEnrollmentLimitConfiguration", ""},
			{"#microsoft.graph.deviceEnrollmentPlatformRestrictionConfiguration", ""},
			{"#microsoft.graph.windows10EnrollmentCompletionPageConfiguration", ""},
			{"#microsoft.graph.deviceEnrollmentWindowsHelloForBusinessConfiguration", ""},
			{"#microsoft.graph.deviceComanagementAuthorityConfiguration", ""},
			{"#microsoft.graph.windowsRestoreDeviceEnrollmentConfiguration", ""},
			{"#microsoft.graph.deviceEnrollmentPlatformRestrictionsConfiguration", "restrictions for all platforms in one object exist only as the tenant's default"},
			{"#microsoft.graph.deviceEnrollmentNotificationConfiguration", "its texts are in message templates of their own, which are not backed up"},
		},
	},
	{
		Key: "windowsFeatureUpdateProfiles", Singular: "Feature update profile", Plural: "Feature updates",
		Version: "beta", Path: "deviceManagement/windowsFeatureUpdateProfiles", Entity: "#microsoft.graph.windowsFeatureUpdateProfile", Name: "displayName", Order: 140,
		Assign: assign, Strip: []string{"deployableContentDisplayName", "endOfSupportDate"}, Refs: scopeTags,
	},
	{
		Key: "windowsQualityUpdateProfiles", Singular: "Quality update profile", Plural: "Quality updates",
		Version: "beta", Path: "deviceManagement/windowsQualityUpdateProfiles", Entity: "#microsoft.graph.windowsQualityUpdateProfile", Name: "displayName", Order: 140,
		Assign: assign, Strip: []string{"releaseDateDisplayName", "deployableContentDisplayName"}, Refs: scopeTags,
	},
	{
		Key: "windowsQualityUpdatePolicies", Singular: "Hotpatch policy", Plural: "Hotpatch policies",
		Version: "beta", Path: "deviceManagement/windowsQualityUpdatePolicies", Entity: "#microsoft.graph.windowsQualityUpdatePolicy", Name: "displayName", Order: 140,
		Assign: assign, Refs: scopeTags,
	},
	{
		Key: "windowsDriverUpdateProfiles", Singular: "Driver update profile", Plural: "Driver updates",
		Version: "beta", Path: "deviceManagement/windowsDriverUpdateProfiles", Entity: "#microsoft.graph.windowsDriverUpdateProfile", Name: "displayName", Order: 140,
		Assign: assign, Strip: []string{"deviceReporting", "newUpdates", "inventorySyncStatus", "driverInventories"}, Refs: scopeTags,
		Immutable: []string{"approvalType"},
	},
	conditionalAccess,
	{
		Key: "policySets", Singular: "Policy set", Plural: "Policy sets",
		Version: "beta", Path: "deviceAppManagement/policySets", Name: "displayName", Order: 2000,
		Parts: []Part{{Key: "items", Read: ByPath}}, Assign: assign, Backup: notRestored,
	},
}

var conditionalAccess = &Type{
	Key: "conditionalAccessPolicies", Singular: "Conditional access policy", Plural: "Conditional access",
	Version: "v1.0", Path: "identity/conditionalAccess/policies", Whole: true, Entity: "#microsoft.graph.conditionalAccessPolicy", Name: "displayName", Order: 150,
	Strip: []string{"templateId", "conditions.deviceStates"},
	Only:  map[string][]string{"grantControls.authenticationStrength": {"id"}},
	// observed: the value false is refused.
	Defaults: map[string]any{"sessionControls.disableResilienceDefaults": false},
	Sets: []Set{
		{Path: "conditions.clientAppTypes"},
		{Path: "conditions.userRiskLevels"},
		{Path: "conditions.signInRiskLevels"},
		{Path: "conditions.servicePrincipalRiskLevels"},
		{Path: "conditions.users.includeUsers"},
		{Path: "conditions.users.excludeUsers"},
		{Path: "conditions.users.includeGroups"},
		{Path: "conditions.users.excludeGroups"},
		{Path: "conditions.users.includeRoles"},
		{Path: "conditions.users.excludeRoles"},
		{Path: "conditions.applications.includeApplications"},
		{Path: "conditions.applications.excludeApplications"},
		{Path: "conditions.applications.includeUserActions"},
		{Path: "conditions.applications.includeAuthenticationContextClassReferences"},
		{Path: "conditions.locations.includeLocations"},
		{Path: "conditions.locations.excludeLocations"},
		{Path: "conditions.platforms.includePlatforms"},
		{Path: "conditions.platforms.excludePlatforms"},
		{Path: "conditions.clientApplications.includeServicePrincipals"},
		{Path: "conditions.clientApplications.excludeServicePrincipals"},
		{Path: "grantControls.builtInControls"},
		{Path: "grantControls.customAuthenticationFactors"},
		{Path: "grantControls.termsOfUse"},
	},
	Refs: []Ref{
		{Path: "conditions.users.includeUsers[]", Kind: Users, Words: []string{"All", "None", "GuestsOrExternalUsers"}},
		{Path: "conditions.users.excludeUsers[]", Kind: Users, Excluded: true, Words: []string{"GuestsOrExternalUsers"}},
		{Path: "conditions.users.includeGroups[]", Kind: Groups},
		{Path: "conditions.users.excludeGroups[]", Kind: Groups, Excluded: true},
		{Path: "conditions.users.includeRoles[]", Kind: DirectoryRoles},
		{Path: "conditions.users.excludeRoles[]", Kind: DirectoryRoles, Excluded: true},
		{Path: "conditions.applications.includeApplications[]", Kind: Applications, Words: []string{"All", "None", "Office365", "MicrosoftAdminPortals"}},
		{Path: "conditions.applications.excludeApplications[]", Kind: Applications, Excluded: true, Words: []string{"Office365", "MicrosoftAdminPortals"}},
		{Path: "conditions.applications.includeAuthenticationContextClassReferences[]", Kind: AuthenticationContexts},
		{Path: "conditions.locations.includeLocations[]", Kind: NamedLocations, Words: []string{"All", "AllTrusted"}},
		{Path: "conditions.locations.excludeLocations[]", Kind: NamedLocations, Excluded: true, Words: []string{"AllTrusted"}},
		{Path: "conditions.clientApplications.includeServicePrincipals[]", Kind: ServicePrincipals, Words: []string{"ServicePrincipalsInMyTenant"}},
		{Path: "conditions.clientApplications.excludeServicePrincipals[]", Kind: ServicePrincipals, Excluded: true},
		{Path: "grantControls.authenticationStrength.id", Kind: AuthenticationStrength},
		{Path: "grantControls.termsOfUse[]", Kind: TermsOfUse},
	},
	Switches: []string{"state"},
	Required: []Required{{Path: "conditions", Why: "it has no conditions"}},
	Deleted:  DeletedItem{"beta", "identity/conditionalAccess/deletedItems/policies"},
}

var (
	scopeTags     = []Ref{{Path: "roleScopeTagIds[]", Kind: ScopeTags}}
	polymorphic   = []Required{{Path: "@odata.type", Why: "it does not say which kind of object it is (@odata.type)"}}
	scriptContent = []Required{{Path: "scriptContent", Why: "it has no script: lists leave the content out"}}
)
